/* Texts of the pages of customers. */
import { count } from '../../shared/format.js';
import { common, some } from './common.js';

export const customers = {
  title: 'Customers',
  intro: 'Accounts of this service. Customers who sign in at your shop have no account here: find them by their id.',
  who: "E-mail address or customer's id",
  none: (who) => `No account has the address ${who}.`,
  openId: (who) => `Open the customer whose id is ${who}`,
  caption: 'Accounts, oldest first',
  empty: 'There are no accounts.',
  email: 'E-mail address',
  role: 'Role',
  roles: { admin: 'Admin', customer: 'Customer' },
  made: 'Made',
  state: 'State',
  enabled: 'Can sign in',
  disabled: 'Disabled',
};

export const customer = {
  title: (id) => `Customer ${id.length > 20 ? `${id.slice(0, 8)}…${id.slice(-6)}` : id}`,
  account: 'Account',
  noAccount: 'This customer has no account here, and signs in at your shop.',
  id: 'Id',
  email: customers.email,
  role: customers.role,
  made: 'Made',
  disabledAt: 'Disabled',
  signedOutAt: 'Signed out everywhere',
  units: 'Units',
  unitsCaption: 'Units held and bought, by product',
  unitsEmpty: 'This customer holds and has bought nothing.',
  newest: (n) => `Counted in the newest ${count(n)} reservations.`,
  product: common.product,
  held: 'Held',
  bought: 'Bought',
  limit: 'Limit per customer',
  noLimit: 'none',
  reservations: 'All reservations of this customer',
  changes: 'Stored data',
  disable: 'Disable',
  disableEffect: (who) =>
    `${who} is signed out everywhere and can no longer sign in. Holds and purchases stay as they are.`,
  disabled: (who) => `${who} can no longer sign in.`,
  enable: 'Enable',
  enableEffect: (who) => `${who} can sign in again.`,
  enabled: (who) => `${who} can sign in again.`,
  signOut: 'Sign out everywhere',
  signOutEffect: (who) => `${who} has to sign in again in every browser and program. Holds stay as they are.`,
  signedOut: (who) => `${who} is signed out everywhere.`,
  resetCode: 'Make a reset code',
  resetEffect: (who) =>
    `${who} can set a new password with the code, once, within half an hour. You send the code: FlashReserve sends ` +
    'no mail.',
  resetDone: 'The code is made.',
  resetLabel: 'Reset code',
  resetUntil: (until) => `It is good until ${until}.`,
  export: 'Export everything about this customer',
  exporting: 'Collecting …',
  exported: 'The file is saved.',
  erase: 'Erase',
  eraseTitle: (who) => `Erase ${who}`,
  eraseEffect: (n, more) => [
    `Open holds are cancelled, and the account is deleted. In ${more ? 'more than ' : ''}` +
      `${some(n, 'reservation', 'reservations')} and in the trail, a pseudonym takes this customer's place.`,
    "It takes about ten seconds, and can't be undone.",
  ],
  eraseConfirm: (who) => `To confirm, type ${who}`,
  eraseDiffers: 'That is not the same.',
  erased: ({ account, reservations }) =>
    `Erased: ${account ? 'the account, and ' : ''}the person in ${some(reservations, 'reservation', 'reservations')}.`,
};
