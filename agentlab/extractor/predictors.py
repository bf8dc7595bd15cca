"""Label predictors: from a feature vector to each label's value, and the loss of their predictions."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from agentlab.extractor.certainty import Certainty
from agentlab.extractor.scores import is_read
from agentlab.labels import ABSENT, Category, Flag, LabelSchema, Number

L1_BETA = 0.05
"""Errors above this many standard deviations of a number count linearly, those below quadratically."""

FURTHER = 4.0
"""Numbers that spread this many times as far as before are measured on a new scale."""

RAREST = 0.01
"""Predictions begin at the frequency of a value, but at none below this."""

SELDOM = 0.1
"""Numbers that change in a smaller share of the frames than this weigh less in the loss, in proportion."""
LIGHTEST = 0.1
"""The least weight of a number."""


class LabelPredictors(nn.Module):
    """One linear predictor per label and one of its presence: numbers by value, flags and presence by logit, categories
    by one logit a class.

    Features `(n, n_features)` in, outputs `(n, n_outputs)`; one matrix holds all predictors. Label rows are those of
    `LabelSchema`, NaN where absent. The last `n_board` features, read off the scoreboard, serve `board_labels` only.
    """

    def __init__(
        self, schema: LabelSchema, n_features: int, n_board: int = 0, board_labels: Collection[str] = ()
    ) -> None:
        super().__init__()
        self.schema = schema
        widths = [len(label.classes) if isinstance(label, Category) else 1 for label in schema.values()]
        ends: list[int] = np.cumsum(widths).tolist()
        self._columns = [slice(end - width, end) for width, end in zip(widths, ends, strict=True)]
        self._presence = slice(ends[-1], ends[-1] + len(schema))
        self.linear = nn.Linear(n_features, self._presence.stop)
        if unknown := set(board_labels) - set(schema):
            raise ValueError(f"board_labels: expected names of labels, found {sorted(unknown)}")
        self.n_board, self.board_labels = n_board, frozenset(board_labels)
        uses = torch.ones_like(self.linear.weight)
        uses[:, n_features - n_board :] = 0
        for name, columns in zip(schema, self._columns, strict=True):
            if name in board_labels:
                uses[columns] = 1
        self.linear.weight.data.mul_(uses)
        self.certainty = Certainty(n_features, len(schema))
        self.register_buffer("uses", uses, persistent=False)
        self.uses: Tensor
        self.register_buffer("mean", torch.zeros(len(schema)))
        self.register_buffer("scale", torch.ones(len(schema)))
        self.register_buffer("weight", torch.ones(len(schema)))
        self.mean: Tensor
        self.scale: Tensor
        self.weight: Tensor

    @torch.no_grad()
    def begin_at(self, rows: npt.NDArray[np.float32]) -> None:
        """Lets predictions begin at what the label rows of the training frames `(n, n_labels)` hold on average.

        Numbers are measured in standard deviations from their mean; flags, categories and presence begin at the
        logits of their frequencies.
        """
        present = ~np.isnan(rows)
        bias = self.linear.bias
        bias[self._presence] = torch.logit(torch.from_numpy(present.mean(axis=0)), eps=RAREST).float()
        for index, (label, columns) in enumerate(zip(self.schema.values(), self._columns, strict=True)):
            values = rows[present[:, index], index]
            if not len(values):
                continue
            match label:
                case Number():
                    self.mean[index] = float(values.mean())
                    self.scale[index] = max(float(values.std()), 1e-3 * (label.high - label.low))
                case Flag():
                    bias[columns] = torch.logit(torch.tensor(float(values.mean())), eps=RAREST)
                case _:
                    counts = np.bincount(values.astype(np.int64), minlength=len(label.classes))
                    bias[columns] = torch.from_numpy(counts / len(values)).clamp(min=RAREST).log().float()

    @torch.no_grad()
    def weigh(self, change_rates: npt.NDArray[np.float64]) -> None:
        """Weighs numbers by how often they change from frame to frame, `(n_labels,)`: those that seldom do weigh less.

        What moves needs all of the network's precision, and a wall of thirty bricks that seldom change would else
        take thirty shares of it. Where the rates are not known, NaN, all weigh the same.
        """
        numbers = np.array([isinstance(label, Number) for label in self.schema.values()])
        weights = np.where(numbers & ~np.isnan(change_rates), np.clip(change_rates / SELDOM, LIGHTEST, 1.0), 1.0)
        self.weight.copy_(torch.from_numpy(weights))

    @torch.no_grad()
    def widen(self, rows: npt.NDArray[np.float32]) -> None:
        """Takes the scale of numbers that range further in the label rows `(n, n_labels)` than before from these."""
        for index, (label, columns) in enumerate(zip(self.schema.values(), self._columns, strict=True)):
            values = rows[~np.isnan(rows[:, index]), index]
            scale = float(values.std()) if len(values) else 0.0
            if isinstance(label, Number) and scale > FURTHER * float(self.scale[index]):
                mean, grown = float(values.mean()), scale / float(self.scale[index])
                bias = self.linear.bias[columns]
                bias.copy_((bias + (self.mean[index] - mean) / self.scale[index]) / grown)
                self.linear.weight[columns] /= grown
                self.mean[index], self.scale[index] = mean, scale

    @torch.no_grad()
    def rescale_inputs(self, mean: Tensor, scale: Tensor) -> None:
        """Makes the predictions from `features` those from `(features - mean) / scale`."""
        self.linear.bias.add_(self.linear.weight @ mean)
        self.linear.weight.mul_(scale)

    def forward(self, features: Tensor) -> Tensor:
        with torch.autocast(features.device.type, enabled=False):
            return F.linear(features.float(), self.linear.weight * self.uses, self.linear.bias)

    def loss(self, outputs: Tensor, rows: Tensor) -> Tensor:
        """The mean over labels, by their weights, of each one's loss on the frames where it has a value, and of the
        loss of presence."""
        present = ~rows.isnan()
        losses = [F.binary_cross_entropy_with_logits(outputs[:, self._presence], present.float())]
        for index, (each, mask) in enumerate(self._of_labels(outputs, rows, present)):
            losses.append(self.weight[index] * (each * mask).sum() / mask.sum().clamp(min=1.0))
        mean: Tensor = torch.stack(losses).sum() / (1 + self.weight.sum())
        return mean

    def losses(self, outputs: Tensor, rows: Tensor) -> Tensor:
        """What each frame adds to the loss, `(n,)`: their mean is the loss."""
        present = ~rows.isnan()
        logits = outputs[:, self._presence]
        summed = F.binary_cross_entropy_with_logits(logits, present.float(), reduction="none").mean(dim=1)
        for index, (each, mask) in enumerate(self._of_labels(outputs, rows, present)):
            summed = summed + self.weight[index] * each * mask / mask.mean().clamp(min=1.0 / len(rows))
        return summed / (1 + self.weight.sum())

    def _of_labels(self, outputs: Tensor, rows: Tensor, present: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """For each label the losses of all frames, `(n,)`, and 1 for those on which it has a value, else 0."""
        known = rows.nan_to_num()
        for index, (label, columns) in enumerate(zip(self.schema.values(), self._columns, strict=True)):
            yield self._losses(label, index, outputs[:, columns], known[:, index]), present[:, index].float()

    def _losses(self, label: Any, index: int, outputs: Tensor, wanted: Tensor) -> Tensor:
        match label:
            case Number():
                standard = (wanted - self.mean[index]) / self.scale[index]
                return F.smooth_l1_loss(outputs[:, 0], standard, reduction="none", beta=L1_BETA)
            case Flag():
                return F.binary_cross_entropy_with_logits(outputs[:, 0], wanted, reduction="none")
            case _:
                return F.cross_entropy(outputs, wanted.long(), reduction="none")

    @property
    def n_outputs(self) -> int:
        return self.linear.out_features

    def overlooked(self, label_scores: Mapping[str, Mapping[str, Any]], counters: Iterable[str]) -> list[int]:
        """The signals that heads leave out: those of labels counted in points, of counters, and of what is not read.

        A score or a counter says how the game went, not what to do: a head that sees it takes each value for another
        situation. A label that never changed in the recordings, or was not read well on held-out episodes, is noise on
        new screens. What is read off the scoreboard counts too. Where counters and labels not read are all there are,
        the heads see them all the same.
        """
        points = {name for name, label in self.schema.items() if isinstance(label, Number) and label.counts_points}
        useless = {name for name in self.schema if not is_read(label_scores.get(name, {}))}
        useless |= set(counters) | self.board_labels
        left_out = points | useless if points | useless != set(self.schema) else points
        found = [index for index, name in enumerate(self.schema) if name in left_out]
        signals = [signal for index in found for signal in range(self.n_outputs)[self._columns[index]]]
        return signals + [self._presence.start + index for index in found]

    def signals(self, outputs: Tensor) -> Tensor:
        """The predictions on one scale, for a head to see `(n, n_outputs)`: numbers standardised and 0 where absent,
        flags and presence from -1 to 1, categories as probabilities."""
        presence = outputs[:, self._presence]
        columns = []
        for index, (label, span) in enumerate(zip(self.schema.values(), self._columns, strict=True)):
            match label:
                case Number():
                    columns.append(outputs[:, span] * (presence[:, index : index + 1] > 0))
                case Flag():
                    columns.append((outputs[:, span] / 2).tanh())
                case _:
                    columns.append(outputs[:, span].softmax(dim=1))
        return torch.cat([*columns, (presence / 2).tanh()], dim=1)

    @property
    def tolerances(self) -> Tensor:
        """The largest errors that are none, `(n_labels,)`; 0 for labels that are no numbers."""
        return torch.tensor([label.tolerance if isinstance(label, Number) else 0.0 for label in self.schema.values()])

    def distances(self, outputs: Tensor, rows: Tensor) -> Tensor:
        """How far each label is read from what it is, `(n, n_labels)`, NaN where it is absent or seems so."""
        return (self.rows(self.signals(outputs)) - rows).abs()

    def mistakes(self, outputs: Tensor, rows: Tensor, tolerances: Tensor) -> Tensor:
        """How surely each label is read wrongly, `(n, n_labels)`: 0 where it is right, at most 1.

        Wrong is another class, a presence that is not there, and a number off by more than its tolerance; how sure a
        wrong number is grows with its error, from 0 at the tolerance.
        """
        signals = self.signals(outputs)
        found, present = self.rows(signals), ~rows.isnan()
        mistakes = (found.isnan() == present) * (1 + signals[:, self._presence].abs()) / 2
        for index, (label, span) in enumerate(zip(self.schema.values(), self._columns, strict=True)):
            wanted, given = rows[:, index], found[:, index]
            match label:
                case Number():
                    tolerance = tolerances[index].clamp(min=1e-12)
                    sure = 1 - tolerance / torch.maximum((given - wanted).abs(), tolerance)
                case Flag():
                    sure = (given != wanted) * (1 + signals[:, span.start].abs()) / 2
                case _:
                    sure = (given != wanted) * signals[:, span].max(dim=1).values
            mistakes[:, index] = torch.where(present[:, index] & ~given.isnan(), sure, mistakes[:, index])
        return mistakes

    def rows(self, signals: Tensor) -> Tensor:
        """The label rows that `signals` stand for: numbers within their bounds, NaN where a label seems absent."""
        columns = []
        for index, (label, span) in enumerate(zip(self.schema.values(), self._columns, strict=True)):
            match label:
                case Number():
                    value = signals[:, span.start] * self.scale[index] + self.mean[index]
                    columns.append(value.clamp(label.low, label.high))
                case Flag():
                    columns.append((signals[:, span.start] > 0).float())
                case _:
                    columns.append(signals[:, span].argmax(dim=1).float())
        rows = torch.stack(columns, dim=1)
        return rows.masked_fill(signals[:, self._presence] <= 0, ABSENT)

    @torch.no_grad()
    def learn_certainty(self, trained_on: tuple[Tensor, Tensor], held_out: tuple[Tensor, Tensor]) -> None:
        """Learns how far numbers are read from what they are, from features `(n, n_features)` and label rows
        `(n, n_labels)` of each; the errors of flags and categories, which tolerate nothing, are not finite."""
        tolerances = self.tolerances.to(self.mean.device)
        errors = [self.distances(self(features), rows) / tolerances for features, rows in (trained_on, held_out)]
        self.certainty.fit(trained_on[0], errors[0], held_out[0], errors[1])

    def confidences(self, signals: Tensor, features: Tensor) -> Tensor:
        """The probability given to what `rows` says of each label, `(n, n_labels)`: that of its absence, or that of its
        presence times that of its class, or of its number being within its tolerance."""
        presence = signals[:, self._presence]
        certain = self.certainty(features)
        columns = []
        for index, (label, span) in enumerate(zip(self.schema.values(), self._columns, strict=True)):
            match label:
                case Number():
                    columns.append(certain[:, index])
                case Flag():
                    columns.append((1 + signals[:, span.start].abs()) / 2)
                case _:
                    columns.append(signals[:, span].max(dim=1).values)
        of_value = torch.where(presence > 0, torch.stack(columns, dim=1), 1.0)
        return of_value * (1 + presence.abs()) / 2
