'use strict';
// Bars: a list with a bar, a name and a figure for each label.

import { make } from './base.js';

/** Lay a row for each label into the list. */
export function buildBars(list, labels) {
  list.replaceChildren(...labels.map((label) => {
    const track = make('span', 'track', '', make('span', 'fill'));
    return make('li', '', '', make('b', '', label), track, make('span', 'value', ''));
  }));
}

/** Set how long each bar is, from 0 to 1, what stands behind it, and which one is the best. */
export function setBars(list, shares, texts, best) {
  Array.from(list.children).forEach((row, index) => {
    row.querySelector('.fill').style.setProperty('--share', shares[index]);
    row.querySelector('.value').textContent = texts[index];
    row.classList.toggle('best', index === best);
  });
}
