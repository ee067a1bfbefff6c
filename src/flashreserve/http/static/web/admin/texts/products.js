/* Texts of the pages of products. */
import { count, instant } from '../../shared/format.js';
import { common, heldStay, units } from './common.js';

export const products = {
  title: 'Products',
  add: 'Add a product',
  externalId: 'Your own id (external id)',
  show: 'Show',
  listed: 'Listed products',
  archived: 'Archived products',
  caption: 'Products, oldest first',
  none: 'No product fits.',
  empty: 'No products yet.',
  name: 'Name',
  price: 'Price',
  available: 'Available',
  stock: 'Stock',
  opens: 'Opens',
  state: 'State',
  states: { paused: 'Paused', before: 'Not open yet', ended: 'Ended', open: 'Open' },
  archivedState: 'Archived',
};

export const productForm = {
  name: 'Name',
  price: 'Price',
  currency: 'Currency',
  currencyHint: 'Three letters, such as EUR. It cannot be changed later.',
  stock: 'Units in stock',
  opens: 'The sale opens',
  opensHint: `Empty: at once. ${common.zone}`,
  ends: 'The sale ends',
  endsHint: `Empty: it has no end. ${common.zone}`,
  limit: 'Limit per customer',
  limitHint: 'Units that one customer may have, bought and held together. Empty: no limit.',
  hold: 'Hold time in minutes',
  holdHint: 'How long units are held for a customer who pays. Empty: as the service is set, usually 10.',
  extensions: 'Extensions',
  extensionsHint: 'How often a customer may ask for more time.',
  description: 'Description',
  externalId: 'Your own id',
  externalIdHint: 'The id of this product in your shop. It cannot be changed later.',
  number: 'Expected a number.',
};

export const newProduct = {
  title: 'Add a product',
  effect:
    'The product is listed at once, and on sale from the time that you set. Name, price and times can change later.',
  submit: 'Add the product',
  added: ({ name, saleStartsAt }) =>
    `${name} is added. ${saleStartsAt ? `The sale opens ${instant(saleStartsAt)}.` : 'It is on sale now.'}`,
  page: 'Its page in the console',
  storefront: 'Its page in the storefront',
  another: 'Add another one',
};

export const product = {
  title: 'Product',
  rules: 'Rules',
  price: 'Price',
  opens: 'Opens',
  atOnce: 'at once',
  ends: 'Ends',
  never: 'never',
  limit: 'Limit per customer',
  noLimit: 'none',
  hold: 'Hold time',
  minutes: (seconds) => (seconds % 60 ? `${count(seconds)} s` : `${count(seconds / 60)} min`),
  extensions: 'Extensions',
  externalId: 'Your own id',
  description: 'Description',
  id: 'Id',
  archived: 'This product is archived: it is not listed, and nobody gets new units. Open holds can still be paid.',
  storefront: 'Its page in the storefront',
  reservations: 'Its reservations',
  edit: 'Edit',
  editSubmit: 'Save the changes',
  editNothing: 'Nothing is changed.',
  editTitle: (name) => `Change ${name}`,
  editEffect: 'Customers see the changes at once. Holds and purchases so far keep their price, and holds their end.',
  restock: 'Restock',
  restockTitle: (name) => `Restock ${name}`,
  restockEffect: (available, stock) =>
    `Available now: ${count(available)} of ${units(stock)}. Units that you put in are on sale at once. Units ` +
    'that you take out (a negative number) are on sale no more; those held or bought stay.',
  restockChange: 'Units to put in',
  restockHint: 'A negative number takes units out.',
  restockNumber: 'Expected a whole number other than 0.',
  restocked: (change, { stockQuantity, available }) =>
    `${units(Math.abs(change))} ${change > 0 ? 'put in' : 'taken out'}: ${count(stockQuantity)} in stock, ` +
    `${count(available)} available.`,
  archive: 'Archive',
  archiveTitle: (name) => `Archive ${name}`,
  archiveEffect: (name, held) => `${name} is listed no more, and nobody gets new units. ${heldStay(held)}`,
  archivedDone: (name) => `${name} is archived.`,
  takeBack: 'Take back from the archive',
  takeBackEffect: (name, available) =>
    `${name} is listed again, and ${units(available)} can be reserved if its sale is open.`,
  takenBack: (name) => `${name} is listed again.`,
  chart: 'Since the sale began',
  chartTitle: 'Units reserved, bought and back on sale',
  chartSummary: (figures) =>
    'Units reserved, bought and back on sale, over time. In all: ' +
    `${figures.map(([label, n]) => `${label} ${count(n)}`).join(', ')}.`,
  series: { reserved: 'Reserved', bought: 'Bought', returned: 'Back on sale' },
  from: 'From',
  noChart: 'Nothing was reserved yet.',
  refusals: 'Refusals by reason',
  refusalsNote: 'Counted since the processes started.',
  noRefusals: 'Nobody was refused since the processes started.',
  reason: 'Reason',
  times: 'Times',
  ledger: 'Ledger',
  ledgerCaption: 'Changes of stock and rules, oldest first',
  ledgerEmpty: 'No changes are recorded.',
  programs: 'For programs',
  curlCreate: 'Copy the making of this product as curl',
  curlReserve: 'Copy a reservation as curl',
};
