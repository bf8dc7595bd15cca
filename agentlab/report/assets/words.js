"use strict";

/* Elements of the page, and what happens in words and numbers. */

const byId = (id) => document.getElementById(id);

function element(name, className, parent) {
  const made = document.createElement(name);
  if (className) made.className = className;
  parent.append(made);
  return made;
}

function numberText(value, digits = 2) {
  if (value === null || value === undefined) return "–";
  return String(Number(value.toFixed(digits))).replace("-", "−");
}

/* Whether a label has a value: it is null where the label is absent, and undefined where nobody labelled the frame. */
function isThere(value) {
  return value !== null && value !== undefined;
}

function extremes(values) {
  return [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))];
}

function signedText(value) {
  return value > 0 ? "+" + numberText(value) : numberText(value);
}

function actionText(recording, action) {
  if (action.length > 1) return action.map((part) => numberText(part)).join(", ");
  return recording.actionNames[action[0] - recording.firstAction] ?? numberText(action[0]);
}

function labelText(label, value) {
  if (value === undefined) return "unlabelled";
  if (value === null) return "absent";
  if (label.kind === "category") return label.classes[value];
  if (label.kind === "flag") return value ? "yes" : "no";
  return numberText(value, Math.max(1, Math.min(3, 2 - Math.floor(Math.log10(label.span)))));
}
