'use strict';
// The figures of the model on held-out rows.

import { $, announce, count, make, percent, scoped } from './base.js';

const LARGE = 30; // classes beyond which no confusion matrix is shown

export function showDigest(button, digest) {
  button.textContent = `${digest.slice(0, 15)}…${digest.slice(-4)}`;
  button.title = digest;
  button.hidden = false;
  button.onclick = async () => {
    try {
      await navigator.clipboard.writeText(digest);
      announce('Copied', 0);
      button.textContent = 'copied';
      setTimeout(() => showDigest(button, digest), 1500);
    } catch {
      button.textContent = digest; // the page may not copy: people can select the text
    }
  };
}

export function showMeasured(model, { rows, accuracy, f1, confusion }) {
  const least = Object.fromEntries(model.rules.map(({ metric, minimum }) => [metric, minimum]));
  $('figures').replaceChildren(
    figure('Accuracy', accuracy, least.accuracy), figure('F1, weighted', f1, least.f1_weighted));
  const verdicts = { passed: 'The gate let it pass', failed: 'It did not pass the gate' };
  const verdict = verdicts[model.gate] ?? 'It has no gate';
  $('verdict').textContent = `${verdict}; ${count(rows)} rows were held out.`;
  $('matrix').hidden = model.labels.length > LARGE;
  if (model.labels.length > LARGE) return;
  const caption = make('caption', '', 'Confusion matrix ', make('span', '', '– row: truth, column: answer'));
  const head = make('tr', '', '', make('td'), ...model.labels.map((label) => scoped('col', label)));
  const body = confusion.map((row, at) => make('tr', '', '', scoped('row', model.labels[at]),
    ...row.map((cell, column) => make('td', heat(cell, at === column, row), cell))));
  $('confusion').replaceChildren(caption, make('thead', '', '', head), make('tbody', '', '', ...body));
}

/** A figure, its interval and its minimum, on a scale that begins at the next tenth below them. */
function figure(name, { value, low, high }, least) {
  const from = Math.min(0.9, Math.floor(10 * Math.min(low, least ?? 1)) / 10);
  const range = make('dd', 'range', '', make('i'), make('b'), ...(least === undefined ? [] : [make('u')]));
  range.setAttribute('aria-hidden', 'true');
  for (const [key, share] of Object.entries({ low, high, value, least: least ?? from })) {
    range.style.setProperty(`--${key}`, (share - from) / (1 - from));
  }
  return make('div', '', '', make('dt', '', name), make('dd', 'figure', percent(value)), range,
    make('dd', 'soft', `95 % interval ${(100 * low).toFixed(1)} to ${percent(high)}`),
    ...(least === undefined ? [] : [make('dd', 'soft', `the gate asks for ${percent(least)}`)]));
}

function heat(cell, right, row) {
  const level = Math.ceil((right ? 4 : 24) * (cell / row.reduce((sum, each) => sum + each, 0)));
  return cell ? `${right ? 'hit' : 'miss'} heat-${Math.min(4, level)}` : 'none';
}

/** Mark a column of the confusion matrix: how often this answer was right. */
export function markColumn(position) {
  document.querySelectorAll('#confusion thead th').forEach((th, at) => th.classList.toggle('now', at === position));
}
