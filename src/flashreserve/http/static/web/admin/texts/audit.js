/* Texts of the page Audit. */
import { count } from '../../shared/format.js';
import { some } from './common.js';

export const audit = {
  title: 'Audit',
  intro:
    "An audit compares each product's stock with its reservations: available, held and bought units must add up to " +
    'the stock. It reads while the sale goes on.',
  run: 'Run an audit now',
  runEffect: 'It reads all products and reservations, and changes nothing. With many reservations it takes a while.',
  done: (verdict) => `The audit is done: ${verdictWords(verdict)}`,
  caption: 'Verdicts, newest first',
  empty: 'There was no audit yet.',
  when: 'When',
  verdict: 'Verdict',
  read: 'Read',
  amount: ({ products, reservations }) =>
    `${some(products, 'product', 'products')}, ${some(reservations, 'reservation', 'reservations')}`,
  unreadable: 'Unreadable',
  took: 'Took',
  ms: (ms) => (ms < 1000 ? `${count(ms)} ms` : `${count(Math.round(ms / 100) / 10)} s`),
  by: 'By',
  last: 'Last audit',
  differences: 'Differences',
  product: 'Product',
  stocked: 'In stock',
  available: 'Available',
  live: 'Held and bought',
  moving: 'On the way',
  expected: 'Available should be',
  setAsideCaption: 'Not read, and why',
  kind: 'Kind',
  id: 'Id',
  why: 'Why',
};

/** The verdict of an audit in words. */
export function verdictWords({ clean, complete, differences }) {
  if (!clean && differences.length > 0)
    return `The books differ for ${some(differences.length, 'product', 'products')}.`;
  if (!clean) return 'The books are not in order.';
  return complete ? 'The books are right.' : 'No difference was found, but not everything could be read.';
}
