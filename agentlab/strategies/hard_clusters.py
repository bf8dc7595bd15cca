"""Training on what resembles the mistakes: a sampler that looks for errors, clusters them and takes more like them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Indices: TypeAlias = npt.NDArray[np.int64]
Source: TypeAlias = Literal["pool", "errors"]

LOOKED_AT_ONCE = 512
"""Samples that are judged in one call."""
CANDIDATES = 2
"""For each similar sample wanted, so many are looked at to choose from."""
SUSPECTS = 0.5
"""Share of the looks that goes at most to what was wrong with confidence before."""
EXAMPLES = 8
"""Errors nearest to the centre of their cluster that are kept, for people to look at."""


@dataclass(frozen=True)
class Judgement:
    """What a model makes of n samples, in evaluation mode."""

    wrong: npt.NDArray[np.bool_]
    """Whether its answer is wrong `(n,)`: another class, or a number off by more than is tolerated."""
    features: npt.NDArray[np.float32]
    """What its last layer sees of each `(n, n_features)`."""
    confidence: npt.NDArray[np.float32]
    """How sure it is of its answer `(n,)`, 0 to 1."""

    @classmethod
    def of_classes(cls, features: Tensor, logits: Tensor, classes: Tensor) -> Judgement:
        """That of a classifier: its features `(n, n_features)` and logits `(n, n_classes)` of samples of `classes`."""
        confidence, answers = logits.detach().softmax(dim=1).max(dim=1)
        parts = (answers != classes, features.detach().float(), confidence.float())
        return cls(*(part.cpu().numpy() for part in parts))


Judge: TypeAlias = Callable[[Indices], Judgement]
"""What judges samples, without gradients; it is to put the model into evaluation mode, and back."""


@dataclass(frozen=True)
class Choice:
    """The samples of one round, by why they were chosen."""

    random: Indices
    """Drawn at random from those trained on least often; all of the first round."""
    errors: Indices
    """What the model got wrong."""
    similar: Indices
    """Similar to the errors of a cluster."""
    replayed: Indices
    """Trained on before."""
    clusters: tuple[Indices, ...]
    """Of each cluster the errors nearest to its centre."""
    looked_at: int
    """Samples that were judged to find errors and what is similar: a forward pass each."""

    @property
    def indices(self) -> Indices:
        return np.concatenate([self.random, self.errors, self.similar, self.replayed])


class HardClusters(torch.utils.data.Sampler[int]):
    """Gives each round the samples most worth training on: errors of the model so far and what resembles them.

    The first round is a random share of all samples. Each later one begins with a look at samples in a new random
    order, those not trained on yet first, until a preset number of errors is found; these are clustered by the
    direction of their features (k-means, in small batches), and for each cluster equally many more samples are taken
    that are similar to it (CN112733932A); where too few to choose from were looked at, some more are. Samples trained
    on before and fresh random ones fill the round, so that all rounds are equally long and the learning rate can be
    scheduled. Of the errors looked at, those made with most confidence come first, but for what is wrong with so much
    that the label is suspect: it is judged again, and what stays so several times in a row is listed in `quarantined`
    and left out until a later look finds it right or less surely wrong.

    >>> import torch
    >>> from agentlab.strategies import HardClusters, Judgement
    >>> x = torch.rand(2000, 2)
    >>> y = (x.norm(dim=1) < 0.8).long()
    >>> body, last = torch.nn.Sequential(torch.nn.Linear(2, 32), torch.nn.GELU()), torch.nn.Linear(32, 2)
    >>> optimizer = torch.optim.Adam([*body.parameters(), *last.parameters()], lr=0.01)
    >>> sampler = HardClusters(2000, lambda at: Judgement.of_classes(h := body(x[at]), last(h), y[at]), errors=100)
    >>> for number in range(5):  # or until sampler.after_round(score)
    ...     choice = sampler.begin_round(number)
    ...     for batch in torch.utils.data.BatchSampler(sampler, 32, drop_last=False):
    ...         optimizer.zero_grad()
    ...         torch.nn.functional.cross_entropy(last(body(x[batch])), y[batch]).backward()
    ...         _ = optimizer.step()
    >>> len(sampler), len(sampler.choice.errors) <= 100
    (200, True)
    """

    def __init__(
        self,
        n_samples: int,
        judge: Judge,
        *,
        first_share: float = 0.1,
        second_share: float = 0.2,
        replay_share: float = 0.2,
        errors: int = 1_000,
        n_clusters: int = 16,
        source: Source = "pool",
        looks: int | None = None,
        quarantine_after: int = 3,
        quarantine_confidence: float = 0.9,
        good_enough: float | None = None,
        stale_after: int | None = None,
        labels: Sequence[int] | None = None,
        n_classes: int | None = None,
        seed: int = 0,
    ) -> None:
        """`first_share`: of all samples, how many make a round. `second_share`: of a round, how many are taken for
        their similarity to clusters, the same number for each; from the `source`: the `pool` of all others looked at,
        or the `errors` themselves, which then come twice. `replay_share`: of a round, how many were trained on before.
        `errors`: how many are looked for, and `looks`: at how many samples at most, as many as a round has unless
        given. `good_enough`: a validation score to stop at, and `stale_after`: rounds without a better one to stop
        after. `labels`: the classes of the samples, to be told if one is missing. Raises `ValueError` for shares
        outside (0, 1], together a whole round or more, for counts below 1, a class without samples, and in
        `begin_round` for features that are not finite, a judgement of other samples than asked for, and when all
        samples are quarantined.
        """
        for name, share in (("first_share", first_share), ("second_share", second_share)):
            _require_share(name, share)
        _require_share("replay_share", replay_share)
        _require_share("quarantine_confidence", quarantine_confidence)
        if second_share + replay_share >= 1:
            raise ValueError(
                "second_share and replay_share: expected less than 1 together, which leaves room for errors, found "
                f"{second_share + replay_share:g}"
            )
        self._size = max(1, round(first_share * n_samples))
        looks = self._size if looks is None else looks
        counts = {"n_samples": n_samples, "errors": errors, "n_clusters": n_clusters, "looks": looks}
        counts |= {"quarantine_after": quarantine_after, "stale_after": 1 if stale_after is None else stale_after}
        for name, count in counts.items():
            if count < 1:
                raise ValueError(f"{name}: expected at least 1, found {count}")
        if source not in ("pool", "errors"):
            raise ValueError(f"source: expected 'pool' or 'errors', found {source!r}")
        if labels is not None:
            _require_all_classes(np.asarray(labels), n_samples, n_classes)
        self._judge, self._source, self._seed = judge, source, seed
        self._n_similar, self._n_replayed = int(second_share * self._size), int(replay_share * self._size)
        self._n_errors, self._n_clusters, self._looks = errors, n_clusters, looks
        self._quarantine_after, self._quarantine_confidence = quarantine_after, quarantine_confidence
        self._times_trained = np.zeros(n_samples, dtype=np.int64)
        self._rounds_wrong = np.zeros(n_samples, dtype=np.int64)
        self._good_enough, self._stale_after = good_enough, stale_after
        self._best_score, self._rounds_stale = -math.inf, 0
        self.choice: Choice | None = None

    def begin_round(self, number: int) -> Choice:
        """Chooses the samples of a round, the first being 0, with the model as it is now."""
        rng = np.random.default_rng((self._seed, number))
        self.choice = self._first(rng) if number == 0 else self._mined(rng)
        np.add.at(self._times_trained, self.choice.indices, 1)
        self._order = rng.permutation(self.choice.indices)
        return self.choice

    def after_round(self, score: float) -> bool:
        """Counts a validation score, higher being better and NaN worse than any; says whether to stop: it is good
        enough, or has stopped rising."""
        is_best = score > self._best_score
        self._rounds_stale = 0 if is_best else self._rounds_stale + 1
        self._best_score = score if is_best else self._best_score
        is_enough = self._good_enough is not None and score >= self._good_enough
        return is_enough or (self._stale_after is not None and self._rounds_stale >= self._stale_after)

    def __iter__(self) -> Iterator[int]:
        if self.choice is None:
            raise ValueError("expected begin_round before the samples are asked for")
        return iter(self._order.tolist())

    def __len__(self) -> int:
        return self._size

    @property
    def suspected(self) -> npt.NDArray[np.bool_]:
        """Whether the label of each sample is suspect, not yet quarantined or already `(n_samples,)`."""
        return self._rounds_wrong > 0

    @property
    def quarantined(self) -> Indices:
        """The samples that are probably labelled wrongly."""
        return np.flatnonzero(self._rounds_wrong >= self._quarantine_after)

    def state_dict(self) -> dict[str, Tensor]:
        """What it knows of the samples between two rounds."""
        counts = {"times_trained": self._times_trained, "rounds_wrong": self._rounds_wrong}
        validated = torch.tensor([self._best_score, self._rounds_stale], dtype=torch.float64)
        return {name: torch.from_numpy(count.copy()) for name, count in counts.items()} | {"validated": validated}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Goes on where `state_dict` was taken, with the next round."""
        self._times_trained = state["times_trained"].numpy().copy()
        self._rounds_wrong = state["rounds_wrong"].numpy().copy()
        self._best_score, self._rounds_stale = state["validated"][0].item(), int(state["validated"][1])

    def _first(self, rng: np.random.Generator) -> Choice:
        drawn = rng.permutation(len(self._times_trained))[: self._size]
        none = np.zeros(0, np.int64)
        return Choice(drawn, none, none, none, (), 0)

    def _mined(self, rng: np.random.Generator) -> Choice:
        seen, judged = self._look(rng)
        self._suspect(seen, judged)
        trusted = self._rounds_wrong[seen] == 0
        at_errors = np.flatnonzero(judged.wrong & trusted)
        at_errors = at_errors[np.argsort(-judged.confidence[at_errors], kind="stable")]
        at_errors = at_errors[: min(self._n_errors, self._room)]
        trusted[at_errors] = False
        at_others = np.flatnonzero(trusted)
        groups, centres = _clusters(judged.features[at_errors], self._n_clusters, rng)
        errors = seen[at_errors]
        if self._source == "pool":
            similar = seen[at_others[_nearest(judged.features[at_others], centres, self._n_similar)]]
        else:
            shares = _even_shares(self._n_similar, len(groups))
            drawn = [rng.choice(errors[group], share) for group, share in zip(groups, shares, strict=True)]
            similar = np.concatenate([np.zeros(0, np.int64), *drawn])
        free = self._rounds_wrong < self._quarantine_after
        if not free.any():
            raise ValueError(f"samples: expected some that may be trained on, found all {len(free)} quarantined")
        free[errors] = free[similar] = False
        replayed = _drawn(rng, np.flatnonzero(free & (self._times_trained > 0)), self._n_replayed)
        free[replayed] = False
        chosen = np.concatenate([errors, similar, replayed])
        examples = tuple(errors[group[:EXAMPLES]] for group in groups)
        return Choice(self._fresh(rng, free, chosen), errors, similar, replayed, examples, len(seen))

    @property
    def _room(self) -> int:
        """The most errors that a round takes."""
        return self._size - self._n_similar - self._n_replayed

    def _look(self, rng: np.random.Generator) -> tuple[Indices, Judgement]:
        """Judges some of those that are suspected, then others in a new order, until there are enough errors, with
        enough others to choose similar ones from, or enough looks."""
        again = rng.permutation(np.flatnonzero(self._rounds_wrong > 0))[: math.ceil(SUSPECTS * self._looks)]
        others = rng.permutation(np.flatnonzero(self._rounds_wrong == 0))
        others = others[np.argsort(self._times_trained[others], kind="stable")]
        order = np.concatenate([again, others])[: self._looks]
        parts: list[Judgement] = []
        n_wrong = n_seen = 0
        others_wanted = CANDIDATES * self._n_similar if self._source == "pool" else 0
        least = len(again) + min(self._n_errors, self._room) + others_wanted
        while n_seen < len(order) and (n_wrong < self._n_errors or n_seen < least):
            end = n_seen + LOOKED_AT_ONCE if n_wrong < self._n_errors else min(n_seen + LOOKED_AT_ONCE, least)
            with torch.no_grad():
                part = self._judge(order[n_seen:end])
            lengths = {len(part.wrong), len(part.features), len(part.confidence)}
            if lengths != {len(order[n_seen:end])}:
                raise ValueError(f"judgement: expected one of {len(order[n_seen:end])} samples, found one of {lengths}")
            if not np.isfinite(part.features).all():
                raise ValueError(
                    f"features: expected finite numbers, found {part.features[~np.isfinite(part.features)][0]}"
                )
            parts.append(part)
            is_error = part.wrong & (self._rounds_wrong[order[n_seen:end]] == 0) & ~self._is_sure(part)
            n_wrong += int(is_error.sum())
            n_seen += len(part.wrong)
        fields = ("wrong", "features", "confidence")
        return order[:n_seen], Judgement(*(np.concatenate([getattr(part, name) for part in parts]) for name in fields))

    def _suspect(self, seen: Indices, judged: Judgement) -> None:
        """Counts in how many rounds in a row each sample was wrong with confidence."""
        self._rounds_wrong[seen] = np.where(self._is_sure(judged), self._rounds_wrong[seen] + 1, 0)

    def _is_sure(self, judged: Judgement) -> npt.NDArray[np.bool_]:
        """Which samples are wrong with so much confidence that their labels are suspect."""
        return judged.wrong & (judged.confidence >= self._quarantine_confidence)

    def _fresh(self, rng: np.random.Generator, free: npt.NDArray[np.bool_], chosen: Indices) -> Indices:
        """Random samples that fill the round: those trained on least often, and at last some twice."""
        wanted = self._size - len(chosen)
        others = rng.permutation(np.flatnonzero(free))
        fresh = others[np.argsort(self._times_trained[others], kind="stable")][:wanted]
        there = np.concatenate([fresh, chosen])
        rest = wanted - len(fresh)
        return np.concatenate([fresh, rng.choice(there, rest) if rest else there[:0]])


def _clusters(
    features: npt.NDArray[np.float32], n_clusters: int, rng: np.random.Generator
) -> tuple[list[Indices], npt.NDArray[np.float32]]:
    """The rows of each cluster, nearest to its centre first, and the centres `(n, n_features)`; none for no rows."""
    if not len(features):
        return [], np.zeros((0, features.shape[1]), np.float32)
    from sklearn.cluster import MiniBatchKMeans

    directions = _directions(features)
    different = len(np.unique(directions, axis=0))
    means = MiniBatchKMeans(min(n_clusters, different), n_init=1, random_state=int(rng.integers(2**31)))
    to_centres = means.fit_transform(directions)
    groups = []
    for number in np.unique(means.labels_):
        rows = np.flatnonzero(means.labels_ == number)
        groups.append(rows[np.argsort(to_centres[rows, number], kind="stable")])
    return groups, means.cluster_centers_[np.unique(means.labels_)].astype(np.float32)


def _nearest(features: npt.NDArray[np.float32], centres: npt.NDArray[np.float32], wanted: int) -> Indices:
    """The rows nearest to the centres by direction, the same number for each, none twice."""
    closeness = _directions(features) @ _directions(centres).T
    taken: list[Indices] = []
    for number, share in enumerate(_even_shares(wanted, len(centres))):
        rows = np.argsort(-closeness[:, number], kind="stable")[:share]
        closeness[rows] = -np.inf
        taken.append(rows)
    return np.concatenate([np.zeros(0, np.int64), *taken])[: len(features)]


def _directions(features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return np.asarray(features / np.maximum(lengths, np.finfo(np.float32).tiny), dtype=np.float32)


def _even_shares(total: int, parts: int) -> list[int]:
    return [total // parts + (number < total % parts) for number in range(parts)]


def _drawn(rng: np.random.Generator, among: Indices, wanted: int) -> Indices:
    return rng.permutation(among)[: max(0, wanted)]


def _require_share(name: str, share: float) -> None:
    if not 0 < share <= 1:
        raise ValueError(f"{name}: expected a share above 0 and at most 1, found {share}")


def _require_all_classes(labels: npt.NDArray[Any], n_samples: int, n_classes: int | None) -> None:
    if labels.shape != (n_samples,) or labels.dtype.kind not in "biu":
        raise ValueError(
            f"labels: expected {n_samples} whole numbers, found {labels.dtype} of shape {list(labels.shape)}"
        )
    found = np.unique(labels)
    missing = np.setdiff1d(np.arange(int(found.max()) + 1 if n_classes is None else n_classes), found)
    if len(missing):
        raise ValueError(f"labels: expected samples of every class, found none of class {missing[0]}")
