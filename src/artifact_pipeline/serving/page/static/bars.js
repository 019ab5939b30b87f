'use strict';
// Bars: a list with a name, a bar and a number for each label.

import { make } from './base.js';

/** Fill the list with a row for each label. */
export function buildBars(list, labels) {
  list.replaceChildren(...labels.map((label) => {
    const track = make('span', 'track', '', make('span', 'fill'));
    return make('li', '', '', make('b', '', label), track, make('span', 'value', ''));
  }));
}

/** Set the length of each bar, from 0 to 1, the text after it, and which one is the best. */
export function setBars(list, shares, texts, best) {
  Array.from(list.children).forEach((row, index) => {
    row.querySelector('.fill').style.setProperty('--share', shares[index]);
    row.querySelector('.value').textContent = texts[index];
    row.classList.toggle('best', index === best);
  });
}
