'use strict';
// The contributions to an answer: a bar to the right for a column that speaks for it, to the left for one against it.

import { $, make, percent } from './base.js';

const SHOWN = 12;

const signed = (value, words) => `${value < 0 ? '−' : '+'}${words(Math.abs(value))}`;

const three = (value) => String(Number(value.toPrecision(3)));

/** The explanation of the bars, and the format of their numbers. */
function manner({ by, best, second, scores }) {
  if (by === 'contributions') {
    const sums = 'Exact: the scores of this model are sums of coefficient × transformed value.';
    const bar = `A bar is what its column adds to ${best} less what it adds to ${second}.`;
    return { words: `${sums} ${bar}`, figure: three };
  }
  const lost = `how much ${scores ? 'of its score' : 'probability'} ${best} would lose if the column were typical`;
  return { words: `An estimate, column by column: ${lost}.`, figure: scores ? three : percent };
}

/** The text where there is no bar. */
const NOTHING = { contributions: ' No column makes a difference.', typical: ' As it is, no column makes a difference.' };

/** Show the contributions; `columns` are the names, `values` the row as text. */
export function showSpoke(columns, values, spoke, about) {
  const { words, figure } = manner(about);
  const order = spoke.map((_, at) => at).filter((at) => spoke[at]);
  order.sort((x, y) => Math.abs(spoke[y]) - Math.abs(spoke[x]));
  const most = Math.abs(spoke[order[0]]) || 1;
  $('spoke').replaceChildren(...order.slice(0, SHOWN).map((at) => {
    const fill = make('span', 'fill');
    fill.style.setProperty('--share', Math.abs(spoke[at]) / most);
    const name = make('b', '', columns[at], ' ', make('span', 'soft', values[at]));
    const track = make('span', `track both ${spoke[at] < 0 ? 'against' : 'for'}`, '', fill);
    return make('li', '', '', name, track, make('span', 'value', signed(spoke[at], figure)));
  }));
  const more = order.length > SHOWN ? ` ${order.length - SHOWN} more columns spoke less.` : '';
  $('spoke-told').textContent = words + more + (order.length ? '' : NOTHING[about.by]);
}
