/* Texts of the pages of reservations, and of holds. */
import { count } from '../../shared/format.js';
import { common, some, STATUSES, units } from './common.js';

export const reservations = {
  title: 'Reservations',
  caption: 'Reservations, newest first',
  empty: 'No reservation fits.',
  id: 'Reservation id',
  email: "Customer's e-mail address",
  customerId: "Customer's id",
  externalId: 'Your own id (external id)',
  status: common.status,
  anyStatus: 'Any',
  statuses: Object.entries(STATUSES),
  product: common.product,
  anyProduct: 'Any',
  from: 'Made from',
  to: 'Made before',
  noAccount: (email) => `No account has the address ${email}.`,
  csv: 'These as a CSV file',
  made: 'Made',
  reservation: 'Reservation',
  customer: common.customer,
  units: 'Units',
  until: 'On hold until',
};

export const reservation = {
  title: (id) => `Reservation ${id.slice(0, 8)}…${id.slice(-6)}`,
  id: 'Id',
  status: common.status,
  customer: common.customer,
  made: 'Made',
  until: 'On hold until',
  bought: 'Bought',
  released: 'Ended',
  externalId: 'Your own id',
  metadata: 'Metadata',
  lines: 'Units',
  product: common.product,
  quantity: 'Units',
  returned: 'Returned',
  unitPrice: 'Price of one',
  amount: 'Amount without returns',
  timeline: 'Timeline',
  timelineCaption: 'What happened, oldest first',
  timelineEmpty: 'Nothing is recorded.',
  cancel: 'Cancel the hold',
  cancelEffect: (n) => `${some(n, 'unit goes', 'units go')} back on sale at once, and the customer can no longer pay.`,
  cancelled: (n) => `The hold is cancelled: ${some(n, 'unit is', 'units are')} on sale again.`,
  return: 'Return units',
  returnEffect:
    "The units go back on sale at once, and count no more towards the customer's limit. FlashReserve moves no money: " +
    'refund them in your payment system.',
  returnUnits: (name, left) => `${name}: units to return, of ${count(left)}`,
  returnReason: 'Reason',
  returnNone: 'Expected at least one unit.',
  returnMost: (left) => `Expected a whole number from 0 to ${count(left)}.`,
  returnedDone: (n) => `${some(n, 'unit is', 'units are')} returned, and on sale again.`,
};

export const holds = {
  title: 'Holds',
  histogram: 'Holds that lapse in the next 10 minutes',
  histogramSummary: (n, later) =>
    `Holds that lapse in each 10 s of the next 10 minutes: ${count(n)} in all, and ${count(later)} later.`,
  inTime: 'Lapse within',
  seconds: (from) => `${minuteText(from)} to ${minuteText(from + 10)}`,
  tick: (seconds) => `${count(seconds / 60)} min`,
  holds: 'Holds',
  units: 'Units',
  lapsed: 'Lapsed and not released yet',
  later: 'Lapse later',
  next: 'In the next 10 minutes',
  amount: ({ holds: n, units: held }) => `${some(n, 'hold', 'holds')}, ${units(held)}`,
  list: 'Open holds',
  listCaption: 'Open holds, the newest first',
  listEmpty: 'Nothing is on hold.',
  left: 'Time left',
  lapsedNow: 'lapsed',
  release: 'Release',
  releaseOf: (id) => `Release hold ${id}`,
};

const minuteText = (seconds) => `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
