'use strict';
// The page draws, asks and shows. How a picture becomes a row is the server's affair alone: it gets the picture whole.

import { empty, ink, listen, paint, pictureOf, put, wipe } from './drawing.js';

const PACE = 80; // milliseconds between two questions, at least
const LARGE = 30; // classes beyond which no confusion matrix is shown

const $ = (id) => document.getElementById(id);
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const percent = (share) => `${(100 * share).toFixed(1)} %`;
const sure = (share) => (share > 0.999 ? 'over 99.9 %' : percent(share)); // no model is ever 100 % sure
const count = (number) => number.toLocaleString('en');
const a = (label) => (/^(8|11$|18$|[aeiou])/i.test(label) ? `an ${label}` : `a ${label}`);

/** An element with classes, text and children; text is never read as HTML. */
function make(tag, className = '', content = '', ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(String(content), ...children);
  return element;
}

// What is told

let announcing = 0;

/** Say something to whoever listens, once nothing newer has come for a while. */
function announce(text, after = 600) {
  clearTimeout(announcing);
  announcing = setTimeout(() => { $('announcement').textContent = text; }, after);
}

function notice(text) {
  $('notice').textContent = text;
  $('notice').hidden = !text;
}

// The server

class Refused extends Error {
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }
}

let away = false;

/** Ask the server; while it is gone, or sends away, try again for as long as `wanted` says so. */
async function ask(path, body, wanted = () => true) {
  for (let wait = 500; ; wait = Math.min(2 * wait, 4000)) {
    try {
      const response = await fetch(path, body === undefined ? {} : { method: 'POST', body });
      const value = await response.json().catch(() => ({})); // what stands between us and the server speaks HTML
      if (response.ok || (response.status < 500 && response.status !== 408)) {
        if (away) notice('');
        away = false;
        if (!response.ok) throw new Refused(value.error ?? `the server answered ${response.status}`, response.status);
        const digest = response.headers.get('artifact-digest');
        if (model && digest && digest !== model.digest && path !== 'page/model') await introduce();
        return value;
      }
      notice(`The server says: ${value.error ?? response.status}. Trying again …`);
    } catch (error) {
      if (error instanceof Refused) throw error;
      notice('The server does not answer. Trying again …');
    }
    away = true;
    await pause(wait);
    if (!wanted()) return null;
  }
}

// The question: one at a time, always about the latest drawing

let asking = false;
let asked = 0;
let answer = null;

listen({
  changed() {
    if (!away) notice('');
    allowTeaching();
    void inquire();
  },
  nib: (down) => announce(down ? 'Pen down' : 'Pen up', 0),
});

async function inquire() {
  if (asking) return;
  asking = true;
  await known;
  while (model && asked !== ink.version) {
    const started = performance.now();
    await inquireOnce();
    await pause(PACE - (performance.now() - started));
  }
  asking = false;
}

async function inquireOnce() {
  const { version, drawing, picture } = ink;
  asked = version;
  if (empty()) { showNothing(); return; }
  try {
    const value = await ask('page/picture', await pictureOf(), () => version === ink.version);
    if (value && drawing === ink.drawing) showAnswer({ ...value, version });
  } catch (refused) {
    if (drawing === ink.drawing) showDoubt(refused, picture);
  }
}

// The answer

function buildBars(list, labels) {
  list.replaceChildren(...labels.map((label) => {
    const track = make('span', 'track', '', make('span', 'fill'));
    return make('li', '', '', make('b', '', label), track, make('span', 'value', ''));
  }));
}

function setBars(list, shares, texts, best) {
  Array.from(list.children).forEach((row, index) => {
    row.querySelector('.fill').style.setProperty('--share', shares[index]);
    row.querySelector('.value').textContent = texts[index];
    row.classList.toggle('best', index === best);
  });
}

function setSaying(state, label, wording, confidence) {
  $('saying').className = `saying ${state}`;
  $('label').textContent = label;
  $('label').classList.toggle('long', String(label).length > 2);
  $('wording').textContent = wording;
  $('confidence').textContent = confidence;
}

function showAnswer(value) {
  answer = value;
  const shares = value.probabilities;
  const best = model.labels.indexOf(value.label);
  const second = shares.reduce((top, share, at) => (at !== best && (top < 0 || share > shares[top]) ? at : top), -1);
  const wording = ['Perhaps this is', 'This looks like', 'This is'][(shares[best] >= 0.6) + (shares[best] >= 0.9)];
  const words = `${wording} ${a(value.label)}`;
  const next = shares[second] >= 0.0005 ? `, or ${a(model.labels[second])} with ${percent(shares[second])}` : '';
  setSaying('', value.label, words, `${sure(shares[best])} sure${next}`);
  setBars($('bars'), shares, shares.map((share) => percent(Math.min(share, 0.999))), best);
  showPixels(value);
  $('winner').textContent = a(value.label);
  markColumn(best);
  announce(`${words}, ${sure(shares[best])} sure`);
  allowTeaching();
}

function showNothing() {
  if (answer) announce('The sheet is empty', 0);
  answer = null;
  setSaying('empty', '?', 'Nothing drawn yet', 'the answer follows the pen');
  setBars($('bars'), model.labels.map(() => 0), model.labels.map(() => ''), -1);
  showPixels({ pixels: Array(64).fill(0), spoke: Array(64).fill(0) });
  $('winner').textContent = 'that';
  markColumn(-1);
  allowTeaching();
}

/** A drawing that is no digit yet is nothing to be alarmed about; a file that cannot be read is. */
function showDoubt(refused, picture) {
  showNothing();
  if (picture) notice(`${picture.file.name}: ${refused.message}`);
  else if (refused.status !== 400) notice(refused.message);
  else setSaying('empty', '…', 'No digit yet', `the drawing ${refused.message}`);
  announce(picture ? 'The picture was refused' : 'No digit yet');
}

function showPixels({ pixels, spoke }) {
  const most = Math.max(...spoke.map(Math.abs)) || 1;
  Array.from($('seen').children).forEach((cell, at) => cell.style.setProperty('--value', pixels[at] / 16));
  Array.from($('spoke').children).forEach((cell, at) => {
    cell.classList.toggle('against', spoke[at] < 0);
    cell.style.setProperty('--value', 0.94 * Math.sqrt(Math.abs(spoke[at]) / most)); // the area tells how much
    cell.style.setProperty('--ghost', pixels[at] / 16);
  });
  const positive = (list) => list.filter((each) => each > 0).length;
  const [inked, pro, contra] = [positive(pixels), positive(spoke), positive(spoke.map((each) => -each))];
  $('seen').setAttribute('aria-label', inked ? `8 by 8 pixels, ${inked} of them with ink` : 'Nothing yet');
  $('spoke').setAttribute('aria-label', inked ? `${pro} pixels spoke for it, ${contra} against it` : 'Nothing yet');
}

// What it was

let taught = -1;

function allowTeaching() {
  const done = taught === ink.drawing;
  const ready = answer !== null && answer.version === ink.version && !done;
  if (!done) $('taught').textContent = '';
  for (const button of $('lessons').children) {
    button.disabled = !ready;
    if (!done) button.classList.remove('chosen');
  }
}

/** Sent once, and not again by itself: whether a request that was lost has arrived is not known. */
async function teach(label, button) {
  const { drawing } = ink;
  const body = JSON.stringify({ pixels: answer.pixels, label });
  taught = drawing;
  button.classList.add('chosen');
  allowTeaching();
  try {
    const value = await ask('page/feedback', body, () => false);
    if (!value) throw new Refused('the server did not answer');
    if (drawing === ink.drawing) $('taught').textContent = `Written down as ${a(label)}. Thank you.`;
  } catch (refused) {
    if (taught === drawing) taught = -1;
    notice(`Not written down: ${refused.message}`);
    allowTeaching();
  }
}

// Files

let tables = 0;

async function take(file) {
  if (!file) return;
  const name = file.name.toLowerCase();
  if (file.type.startsWith('image/') || /\.(png|jpe?g)$/.test(name)) {
    const bitmap = await createImageBitmap(file).catch(() => null); // the server says what is wrong with it
    put(file, bitmap);
  } else if (/\.csv$/.test(name) || /csv|text\/plain/.test(file.type)) {
    const mine = ++tables;
    try {
      const value = await ask('page/table', file, () => mine === tables);
      if (value && mine === tables) showTable(file.name, value);
    } catch (refused) {
      notice(`${file.name}: ${refused.message}`);
    }
  } else {
    notice(`${file.name}: this page takes a PNG, a JPEG or a CSV`);
  }
}

function correct({ value, rows, splits }) {
  const share = (each) => `${percent(each.value)} of the ${count(each.rows)}`;
  if (!splits.length) {
    return `${share({ value, rows })} labelled ones are right; training rows may be among them.`;
  }
  const each = splits.map((split) => `${share(split)} ${split.name} rows`).join(' and ');
  return `These are the model's own rows. ${each} are right.`;
}

function showTable(name, value) {
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

for (const id of ['open', 'open-table']) $(id).addEventListener('click', () => $('file').click());
$('file').addEventListener('change', () => {
  void take($('file').files[0]);
  $('file').value = '';
});
document.addEventListener('paste', (event) => void take(event.clipboardData?.files[0]));
document.addEventListener('dragover', (event) => {
  event.preventDefault();
  document.body.classList.add('dropping');
});
document.addEventListener('dragleave', (event) => {
  if (!event.relatedTarget) document.body.classList.remove('dropping');
});
document.addEventListener('drop', (event) => {
  event.preventDefault();
  document.body.classList.remove('dropping');
  void take(event.dataTransfer.files[0]);
});

// The model

let model = null;

async function introduce() {
  model = await ask('page/model');
  document.title = model.draws ? 'Draw a digit' : model.name;
  if (!model.draws) {
    $('title').textContent = model.name;
    $('subtitle').textContent = 'The model answers tables.';
  }
  $('studio').hidden = !model.draws;
  $('plain').hidden = model.draws;
  $('columns').textContent = model.features.slice(0, 20).join(', ') + (model.features.length > 20 ? ', …' : '');
  $('name').textContent = model.name;
  $('gate').textContent = { passed: 'gate passed', failed: 'gate failed' }[model.gate] ?? 'no gate';
  $('gate').classList.toggle('failed', model.gate !== 'passed');
  $('gate').hidden = false;
  showDigest($('digest'), model.digest);
  showDigest($('model-digest'), model.model);
  buildBars($('bars'), model.draws ? model.labels : []);
  for (const id of ['seen', 'spoke']) $(id).replaceChildren(...Array.from({ length: 64 }, () => make('i')));
  $('teach').hidden = !model.feedback;
  $('lessons').replaceChildren(...(model.feedback ? model.labels : []).map((label) => {
    const button = Object.assign(make('button', '', label), { type: 'button', ariaLabel: `This was ${a(label)}` });
    button.addEventListener('click', () => void teach(label, button));
    return button;
  }));
  showMeasured(model.held_out);
  if (model.draws) showNothing();
  asked = -1; // the drawing, if there is one, is shown to this model
  void inquire();
}

function showDigest(button, digest) {
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
      button.textContent = digest; // where a page may not copy, people can
    }
  };
}

function showMeasured({ rows, accuracy, f1, confusion }) {
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

/** A figure, its interval and what the gate asks, on a scale that begins at a round tenth below them. */
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

function scoped(scope, text) {
  return Object.assign(make('th', '', text), { scope });
}

/** The column of the confusion matrix that tells how far the answer can be trusted. */
function markColumn(position) {
  document.querySelectorAll('#confusion thead th').forEach((th, at) => th.classList.toggle('now', at === position));
}

paint();
const known = introduce().catch((error) => notice(error.message));
