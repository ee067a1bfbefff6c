/* Texts of the page Today, and of the changes of a sale that other pages have too. */
import { count } from '../../shared/format.js';
import { heldStay, some, units } from './common.js';

export const today = {
  title: 'Today',
  empty: 'No products yet.',
  emptyAdvice: 'Add the product that you want to sell. It is on sale at once, or from the time that you set.',
  add: 'Add a product',
  sales: 'Sales',
  salesLimit: (n) => `The first ${count(n)} products are shown. The page Products lists all.`,
  storefront: 'In the storefront',
  charts: 'Per second, the last 15 minutes',
  chartUnits: 'Reserved, bought and back on sale',
  chartRefused: 'Refused reservations',
  refusedNote: 'Refusals are counted while somebody watches.',
  notKnown: 'not known',
  chartSummary: (title, latest) => `${title}, per second. Now: ${latest}.`,
  rates: { reserved: 'Reserved', bought: 'Bought', refused: 'Refused', returned: 'Back on sale' },
  minute: 'Minute',
  perMinute: (title) => `${title}: sums of each minute`,
  noHistory: 'The figures of the last 15 minutes are not known yet.',
  figures: 'Figures',
  p50: 'Half of the reservations are answered within',
  p99: '99 of 100 are answered within',
  ms: (ms) => `${count(Math.round(ms * 10) / 10)} ms`,
  noLatency: 'no reservation in the last 10\u00a0s',
  queue: 'Commands that wait',
  oldestDue: 'Age of the oldest due hold',
  seconds: (s) => `${count(Math.round(s * 10) / 10)} s`,
  nothingDue: 'none is due',
  streams: 'Open streams',
  audit: 'Last audit',
  neverAudited: 'There was none yet.',
  processes: 'Processes',
  role: 'Role',
  roles: { all: 'Serves, and runs the jobs', api: 'Serves', worker: 'Runs the jobs' },
  host: 'Machine',
  pid: 'Process',
  version: 'Version',
  started: 'Started',
  seen: 'Last seen',
};

/** The state of a sale in words. */
export const saleState = {
  paused: (reason) => `Paused: ${reason}`,
  opensIn: (clock) => `Opens in ${clock}`,
  openSince: 'Open since',
  opens: 'Opens',
  open: 'Open',
  ended: 'Ended',
  soldOut: 'Sold out',
  parts: ({ available, held, sold, stockQuantity }) => [
    ['available', `${count(available)} available`],
    ['held', held === null ? 'held: not known' : `${count(held)} held`],
    ['sold', sold === null ? 'sold: not known' : `${count(sold)} sold`],
    ['stock', `of ${units(stockQuantity)}`],
  ],
};

/** The changes of a sale, with their effects. */
export const saleChanges = {
  pause: 'Pause',
  pauseOf: (name) => `Pause ${name}`,
  pauseEffect: (name, held) => `${name} stays listed, and nobody gets new units of it. ${heldStay(held)}`,
  pauseAll: 'Pause all sales',
  pauseAllEffect: (sales, held) =>
    `Nobody gets new units of ${some(sales, 'product', 'products')}, nor of those that you add during the pause. ` +
    heldStay(held),
  reason: 'Reason',
  reasonHint: 'Customers read it.',
  paused: (name, settling) =>
    settling > 0
      ? `${name} is paused. ${some(settling, 'request', 'requests')} under way may be granted, within five seconds.`
      : `${name} is paused: nobody gets new units.`,
  allSales: 'The sale of all products',
  resume: 'Resume',
  resumeOf: (name) => `Resume ${name}`,
  resumeEffect: (name, available) =>
    `Customers can reserve ${name} again at once: ${some(available, 'unit is', 'units are')} available.`,
  resumed: (name) => `${name} is on sale again.`,
  stillPaused: (name) => `${name} has no pause of its own any more. It stays paused while all sales are.`,
  resumeAll: 'Resume all sales',
  resumeAllEffect: (own) =>
    'Customers can reserve again at once.' +
    (own ? ` Still paused: ${some(own, 'product', 'products')} with a pause of its own.` : ''),
  openNow: 'Open now',
  openNowOf: (name) => `Open now: ${name}`,
  openNowEffect: (name, at, available) =>
    `${name} was to open at ${at}. It opens at once, and countdowns end. Units on sale: ${count(available)}.`,
  opened: (name) => `${name} is open.`,
  edited: (name) => `${name} is changed.`,
};
