'use strict';
// A table that was dropped: its answers.

import { buildBars, setBars } from './bars.js';
import { $, announce, count, make, percent, scoped } from './base.js';

function correct({ value, rows, splits }) {
  const share = (each) => `${percent(each.value)} of the ${count(each.rows)}`;
  if (!splits.length) {
    return `${share({ value, rows })} labelled ones are right; training rows may be among them.`;
  }
  const each = splits.map((split) => `${share(split)} ${split.name} rows`).join(' and ');
  return `These are the model's own rows. ${each} are right.`;
}

export function showTable(name, value) {
  const { rows, rejected, accuracy } = value;
  $('table-title').textContent = name;
  const right = accuracy ? ` ${correct(accuracy)}` : '';
  $('table-told').textContent = `${count(rows)} rows answered, ${count(rejected.rows)} set aside.${right}`;
  const bad = rejected.first.map(({ row, column, message }) => `row ${row}${column ? `, ${column}` : ''}: ${message}`);
  if (rejected.rows > bad.length) bad.push(`and ${count(rejected.rows - bad.length)} more`);
  $('table-bad').replaceChildren(...bad.map((text) => make('li', '', text)));
  const there = value.labels.filter((each) => each.rows);
  const most = Math.max(...there.map((each) => each.rows), 1);
  buildBars($('mix'), there.map((each) => each.label));
  setBars($('mix'), there.map((each) => each.rows / most), there.map((each) => count(each.rows)), -1);
  const labelled = accuracy !== null;
  const heads = ['Row', ...(labelled ? ['It was'] : []), 'Answer', 'Sure'];
  $('first').replaceChildren(
    make('thead', '', '', make('tr', '', '', ...heads.map((head) => scoped('col', head)))),
    make('tbody', '', '', ...value.first.map(({ row, label, confidence, actual }) => make('tr', '', '',
      scoped('row', row),
      ...(labelled ? [make('td', '', actual ?? '')] : []),
      make('td', actual !== undefined && actual !== label ? 'wrong' : '', label),
      make('td', '', percent(Math.min(confidence, 0.999)))))),
  );
  $('first-title').textContent = `The first ${count(value.first.length)} rows`;
  $('table').hidden = false;
  $('table').focus({ preventScroll: true });
  $('table').scrollIntoView({ block: 'nearest' });
  announce($('table-told').textContent);
}
