'use strict';
// The panel that fits any model: a form of its columns; the answer changes with each value.

import { secondBest, setSaying } from './answer.js';
import { $, announce, count, notice, pause, percent, sure } from './base.js';
import { buildBars, setBars } from './bars.js';
import { fieldOf } from './fields.js';
import { markColumn, open, start } from './page.js';
import { ask, server } from './server.js';
import { showSpoke } from './spoke.js';

const PACE = 80; // milliseconds between two requests, at least
const SHOWN = 40; // columns whose fields are shown at first, and with each "Show more columns"
const BARS = 30; // bars at most
const DATATYPES = { number: 'FP64', boolean: 'BOOL', category: 'BYTES' };

let model = null;
let fields = [];

// Requests: one at a time, always for the latest row, so that no answer arrives after a later one

let asking = false;
let version = 0;
let asked = 0;

function changed() {
  if (!server.away) notice('');
  version++;
  void inquire();
}

async function inquire() {
  if (asking) return;
  asking = true;
  while (asked !== version) {
    const started = performance.now();
    await inquireOnce();
    await pause(PACE - (performance.now() - started));
  }
  asking = false;
}

async function inquireOnce() {
  const [about, mine] = [model, version];
  asked = mine;
  const row = fields.map((field) => field.get());
  const wrong = row.findIndex((value) => value === undefined);
  if (wrong >= 0) {
    setSaying('empty', '…', 'No answer yet', `${model.columns[wrong].name} needs a number`);
    return;
  }
  const body = bodyOf(row);
  $('request').textContent = commandOf(body);
  try {
    const answer = await ask('page/row', body, () => mine === version);
    if (answer && about === model) showAnswer(answer, row); // the model may have been replaced meanwhile
  } catch (refused) {
    if (mine !== version) return;
    setSaying('empty', '…', 'No answer', refused.message);
    announce(`No answer: ${refused.message}`);
  }
}

/** The row as an inference request: a tensor for each column, null where a value is missing. */
function bodyOf(row) {
  const inputs = model.columns.map(({ name, kind }, at) => (
    { name, datatype: DATATYPES[kind], shape: [1], data: [row[at]] }));
  return JSON.stringify({ inputs });
}

/** The same request by curl; quotes in the body are escaped for the shell. */
function commandOf(body) {
  const address = new URL(`v2/models/${model.name}/infer`, location.href);
  return `curl ${address} -d '${body.replaceAll("'", "'\\''")}'`;
}

// The answer

const figure = (value) => String(Number(value.toPrecision(4))).replace('-', '−');
const shown = (value) => (value === null ? '(missing)' : String(value));

function showAnswer({ best, values, by, spoke }, row) {
  const [label, second] = [model.labels[best], secondBest(values, best)];
  const scores = model.answers === 'scores';
  const how = scores ? `score ${figure(values[best])}` : `${sure(values[best])} sure`;
  const next = `${model.labels[second]} with ${scores ? figure(values[second]) : percent(values[second])}`;
  setSaying('', label, model.target, scores || values[second] >= 0.0005 ? `${how}, or ${next}` : how);
  showBars(values, best, scores);
  showSpoke(model.columns.map(({ name }) => name), row.map(shown), spoke, {
    by, scores, best: model.labels[best], second: model.labels[second],
  });
  markColumn(best);
  announce(`${label}, ${how}`);
}

let widest = 0; // the greatest score so far: a bar that grows is a score that grows

/** Show a bar for each label, or for the highest ones. */
function showBars(values, best, scores) {
  const order = values.map((_, at) => at);
  if (values.length > BARS) {
    order.sort((x, y) => values[y] - values[x]).splice(BARS);
    buildBars($('bars'), order.map((at) => model.labels[at]));
  }
  widest = Math.max(widest, ...values.map(Math.abs));
  const lengths = order.map((at) => (scores ? Math.abs(values[at]) / (widest || 1) : values[at]));
  const texts = order.map((at) => (scores ? figure(values[at]) : percent(Math.min(values[at], 0.999))));
  setBars($('bars'), lengths, texts, order.indexOf(best));
  Array.from($('bars').children).forEach((bar, at) => {
    const track = bar.querySelector('.track');
    track.classList.toggle('both', scores);
    track.classList.toggle('against', scores && values[order[at]] < 0);
  });
}

// The row

/** Put a row into the fields, in the order of the model's columns. */
function use(row) {
  row.forEach((value, at) => fields[at].set(value));
  changed();
}

function showMore() {
  const hidden = fields.filter(({ element }) => element.hidden);
  hidden.slice(0, SHOWN).forEach(({ element }) => { element.hidden = false; });
  $('more').hidden = hidden.length <= SHOWN;
}

/** Build the form; values of columns that the next model has too are kept. */
function introduce(described) {
  const before = new Map(model ? model.columns.map(({ name, kind }, at) => [`${kind} ${name}`, fields[at].get()]) : []);
  model = described;
  widest = 0;
  fields = model.columns.map((column, at) => fieldOf(column, at, changed));
  fields.forEach(({ element }) => { element.hidden = true; });
  $('columns').replaceChildren(...fields.map(({ element }) => element));
  showMore();
  buildBars($('bars'), model.labels.length > BARS ? [] : model.labels);
  $('bars').setAttribute('aria-label', model.answers === 'scores' ? 'Scores' : 'Probabilities');
  const few = model.labels.length > BARS ? `The ${BARS} best of ${count(model.labels.length)} labels.` : '';
  const scores = 'This model gives scores, which are no probabilities: the highest one is the answer.';
  $('answers-told').textContent = [model.answers === 'scores' ? scores : '', few].join(' ').trim();
  $('sample').hidden = !model.sample;
  use(model.columns.map(({ name, kind, nullable, typical }) => {
    const kept = before.get(`${kind} ${name}`);
    return kept === undefined || (kept === null && !nullable) ? typical : kept;
  }));
}

$('more').addEventListener('click', showMore);
$('typical').addEventListener('click', () => use(model.columns.map(({ typical }) => typical)));
$('open').addEventListener('click', open);
start({ introduce, take: () => false, takes: 'a CSV', use });
