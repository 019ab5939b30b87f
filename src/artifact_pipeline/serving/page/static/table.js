'use strict';
// The answers to a table that was dropped: they can be sorted, filtered and downloaded.

import { $, announce, button, count, make, notice, percent, scoped } from './base.js';
import { buildBars, setBars } from './bars.js';
import { ask } from './server.js';

const PAGE = 100; // rows that are shown at once
const WIDE = 12; // columns of the file that are shown beside the answers

const SIDES = ['training', 'held out'];

let shown = null; // the table: its file, the server's response, its columns, and the rows that are shown, in order

// The summary

function correct({ value, rows, own, splits }) {
  const share = (each) => `${percent(each.value)} of the ${count(each.rows)}`;
  if (!splits.length) {
    return `${share({ value, rows })} labelled ones are right; training rows may be among them.`;
  }
  const each = `${splits.map((split) => `${share(split)} ${split.name} rows`).join(' and ')} are right.`;
  if (own) return `These are the model's own rows. ${each}`;
  const learned = splits.some(({ name }) => name === 'training');
  return learned ? `${each} A training row was learned if the model's file had it.` : each;
}

function summary({ rows, rejected, accuracy, notes }) {
  const right = accuracy ? [correct(accuracy)] : [];
  return [`${count(rows)} rows answered, ${count(rejected.rows)} set aside.`, ...right, ...notes].join(' ');
}

function showBad({ rows, first }) {
  const bad = first.map(({ row, column, message }) => `row ${row}${column ? `, ${column}` : ''}: ${message}`);
  if (rows > bad.length) bad.push(`and ${count(rows - bad.length)} more`);
  $('table-bad').replaceChildren(...bad.map((text) => make('li', '', text)));
}

function showMix(labels) {
  const there = labels.filter((each) => each.rows).sort((x, y) => y.rows - x.rows).slice(0, 30);
  const most = Math.max(...there.map((each) => each.rows), 1);
  buildBars($('mix'), there.map((each) => each.label));
  setBars($('mix'), there.map((each) => each.rows / most), there.map((each) => count(each.rows)), -1);
}

// The columns: each has a name, the value of a row for sorting, and the cell that shows it

function columnsOf({ answers, cells, accuracy }, model, use) {
  const label = (position) => (position < 0 ? '' : model.labels[position]);
  const scores = model.answers === 'scores';
  const columns = [{
    name: 'Row',
    value: (at) => answers.row[at],
    show: (at) => rowHead(at, answers.row[at], cells && use),
  }, {
    name: 'It was',
    value: (at) => answers.actual[at],
    show: (at) => make('td', '', label(answers.actual[at])),
  }, {
    name: 'Answer',
    value: (at) => answers.label[at],
    show: (at) => make('td', isWrong(answers, at) ? 'wrong' : '', label(answers.label[at])),
  }, {
    name: scores ? 'Score' : 'Sure',
    value: (at) => answers.sure[at],
    show: (at) => make('td', '', scores ? answers.sure[at] : percent(Math.min(answers.sure[at], 0.999))),
  }, {
    name: 'Split',
    value: (at) => answers.side[at],
    show: (at) => make('td', '', SIDES[answers.side[at]] ?? ''),
  }].filter(({ name }) => ({ 'It was': accuracy, Split: answers.side.some((side) => side >= 0) }[name] ?? true));
  const own = cells && model.columns ? model.columns.slice(0, WIDE) : [];
  return [...columns, ...own.map(({ name }, column) => ({
    name,
    value: (at) => cells[at][column],
    show: (at) => make('td', '', cells[at][column] ?? ''),
  }))];
}

const isWrong = ({ label, actual }, at) => actual[at] >= 0 && actual[at] !== label[at];

/** The head of a row; where there is a form, a button that puts the row into it. */
function rowHead(at, number, use) {
  if (!use) return scoped('row', number);
  const head = scoped('row', '');
  const choose = button(number, () => use(shown.value.cells[at]), 'plain');
  choose.setAttribute('aria-label', `Put row ${number} into the form`);
  head.append(choose);
  return head;
}

// Which rows are shown

/** Compare for sorting; missing values are last in both directions. */
function compare(x, y, down) {
  if (x === y || x === null || y === null) return (x === null) - (y === null);
  return (x < y) === down ? 1 : -1;
}

function order() {
  const { value, columns, sort, down } = shown;
  const rows = value.answers.row.map((_, at) => at);
  const kept = $('wrong').checked ? rows.filter((at) => isWrong(value.answers, at)) : rows;
  if (sort) kept.sort((x, y) => compare(columns[sort].value(x), columns[sort].value(y), down) || x - y);
  else if (down) kept.reverse();
  Object.assign(shown, { order: kept, first: 0 });
  showRows();
}

function sortBy(column) {
  const down = shown.sort === column && !shown.down;
  Object.assign(shown, { sort: column, down });
  order();
  $('first').querySelectorAll('thead button')[column].focus();
  announce(`Sorted by ${shown.columns[column].name}, ${down ? 'descending' : 'ascending'}`, 0);
}

function showRows() {
  const { columns, sort, down, first } = shown;
  const heads = columns.map(({ name }, at) => {
    const head = scoped('col', '');
    head.append(button(name, () => sortBy(at), 'plain'));
    if (at === sort) head.ariaSort = down ? 'descending' : 'ascending';
    return head;
  });
  const rows = shown.order.slice(first, first + PAGE);
  $('first').replaceChildren(
    make('thead', '', '', make('tr', '', '', ...heads)),
    make('tbody', '', '', ...rows.map((at) => make('tr', '', '', ...columns.map((column) => column.show(at))))),
  );
  const of = `of ${count(shown.order.length)}`;
  $('rows-told').textContent = rows.length ? `${count(first + 1)} to ${count(first + rows.length)} ${of}` : 'no row';
  $('before').disabled = first === 0;
  $('after').disabled = first + PAGE >= shown.order.length;
}

function turn(pages) {
  shown.first += pages * PAGE;
  showRows();
  announce($('rows-told').textContent, 0);
}

async function download() {
  const { file, name } = shown;
  try {
    const answers = await ask('page/answers.csv', file, () => shown?.file === file, (response) => response.blob());
    if (!answers) return;
    const link = Object.assign(make('a'), { href: URL.createObjectURL(answers) });
    link.download = `${name.replace(/\.csv$/i, '')}-answers.csv`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  } catch (refused) {
    notice(`${name}: ${refused.message}`);
  }
}

/** Show the answers to a table; `use`, where there is one, puts a row into the form. */
export function showTable(name, file, value, model, use) {
  shown = { name, file, value, columns: columnsOf(value, model, use), sort: 0, down: false, order: [], first: 0 };
  $('table-title').textContent = name;
  $('table-told').textContent = summary(value);
  showBad(value.rejected);
  showMix(value.labels);
  $('wrong').checked = false;
  $('filter').hidden = !value.accuracy;
  $('download').disabled = !value.rows;
  order();
  $('table').hidden = false;
  $('table').focus({ preventScroll: true });
  $('table').scrollIntoView({ block: 'nearest' });
  announce($('table-told').textContent);
}

/** Hide the answers: they are of another model. */
export function hideTable() {
  shown = null;
  $('table').hidden = true;
}

$('wrong').addEventListener('change', () => {
  order();
  announce($('rows-told').textContent, 0);
});
$('before').addEventListener('click', () => turn(-1));
$('after').addEventListener('click', () => turn(1));
$('download').addEventListener('click', () => void download());
