'use strict';
// The panel of the digits: it draws, asks and shows. How a picture becomes a row is the server's affair alone.

import { secondBest, setSaying } from './answer.js';
import { $, a, announce, make, notice, pause, percent, sure } from './base.js';
import { buildBars, setBars } from './bars.js';
import { empty, ink, listen, paint, pictureOf, put, wipe } from './drawing.js';
import { markColumn, open, start } from './page.js';
import { Refused, ask, server } from './server.js';

const PACE = 80; // milliseconds between two questions, at least

/** How it was found which pixels spoke for an answer. */
const WHY = {
  contributions: 'Exact: coefficient × pixel.',
  typical: 'An estimate: what it would lose if the pixel were typical.',
};

let model = null;

// The question: one at a time, always about the latest drawing

let asking = false;
let asked = 0;
let answer = null;

listen({
  changed() {
    if (!server.away) notice('');
    allowTeaching();
    void inquire();
  },
  nib: (down) => announce(down ? 'Pen down' : 'Pen up', 0),
});

async function inquire() {
  if (asking) return;
  asking = true;
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

function showAnswer(value) {
  answer = value;
  const shares = value.probabilities;
  const best = model.labels.indexOf(value.label);
  const second = secondBest(shares, best);
  const wording = ['Perhaps this is', 'This looks like', 'This is'][(shares[best] >= 0.6) + (shares[best] >= 0.9)];
  const words = `${wording} ${a(value.label)}`;
  const next = shares[second] >= 0.0005 ? `, or ${a(model.labels[second])} with ${percent(shares[second])}` : '';
  setSaying('', value.label, words, `${sure(shares[best])} sure${next}`);
  setBars($('bars'), shares, shares.map((share) => percent(Math.min(share, 0.999))), best);
  showPixels(value);
  $('why').textContent = WHY[value.by];
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
  $('why').textContent = '';
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

// The model, and pictures that are dropped on the page

function introduce(described) {
  model = described;
  buildBars($('bars'), model.labels);
  for (const id of ['seen', 'spoke']) $(id).replaceChildren(...Array.from({ length: 64 }, () => make('i')));
  $('teach').hidden = !model.feedback;
  $('lessons').replaceChildren(...(model.feedback ? model.labels : []).map((label) => {
    const button = Object.assign(make('button', '', label), { type: 'button', ariaLabel: `This was ${a(label)}` });
    button.addEventListener('click', () => void teach(label, button));
    return button;
  }));
  showNothing();
  asked = -1; // the drawing, if there is one, is shown to this model
  void inquire();
}

/** Take a file if it is a picture; whether it is one. */
async function take(file) {
  if (!file.type.startsWith('image/') && !/\.(png|jpe?g)$/i.test(file.name)) return false;
  put(file, await createImageBitmap(file).catch(() => null)); // the server says what is wrong with it
  return true;
}

$('open').addEventListener('click', open);
paint();
start({ introduce, take, takes: 'a PNG, a JPEG or a CSV' });
