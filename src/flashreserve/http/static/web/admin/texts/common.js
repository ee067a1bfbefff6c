/* Words that several pages use. */
import { count } from '../../shared/format.js';

/** A number with its noun: `some(2, 'hold', 'holds')`. */
export const some = (n, one, many) => `${count(n)} ${n === 1 ? one : many}`;

/** A number of units. */
export const units = (n) => some(n, 'unit', 'units');

/** What happens to holds, so many units, while their sale is paused or over; nothing if there are none. */
export const heldStay = (n) =>
  n === 0 ? '' : `${some(n, 'unit on hold stays', 'units on hold stay')} held, and can still be paid.`;

/** The words for the statuses of reservations. */
export const STATUSES = { PENDING: 'On hold', CONFIRMED: 'Bought', EXPIRED: 'Lapsed', CANCELLED: 'Cancelled' };

export const common = {
  application: 'FlashReserve',
  title: (page) => `${page} · FlashReserve console`,
  loading: 'Loading …',
  tryAgain: 'Try again',
  noAnswer: 'No answer came from the server.',
  refused: (status) => `The server refused this (${status}).`,
  cancel: 'Cancel',
  halfTyped: 'Type both the date and the time, or neither.',
  close: 'Close',
  working: 'Working …',
  workingFor: (seconds) => `Working, ${count(seconds)} s so far …`,
  nothing: 'Nothing here.',
  none: 'none',
  pages: 'Pages of this list',
  found: (n, more) => `Found: ${count(n)}${more ? ', and more' : ''}.`,
  firstPage: 'First page',
  nextPage: 'Next page',
  asTable: 'The same as a table',
  copy: 'Copy',
  copied: 'Copied.',
  copyByHand: 'This browser lets no page copy. Select the text and copy it:',
  shownOnce: 'Copy it now: it is not shown again.',
  unknownOutcome: 'No answer came, so it is not known whether this was done. Look at the page before you do it again.',
  unknownKeyed: 'No answer came, so it is not known whether this was done. Send it again: it counts once.',
  keptKey: 'The outcome of this change was not known. Send it again as it is: it counts once.',
  zone: `In your time zone, ${Intl.DateTimeFormat().resolvedOptions().timeZone}.`,
  utcIs: (text) => `In UTC: ${text}`,
  required: 'Needed.',
  customer: 'Customer',
  product: 'Product',
  status: 'Status',
  action: 'Action',
  notSet: 'not set',
  search: 'Search',
  clear: 'Clear',
};
