/* Every text of the storefront, for translation. */
import { clockText, count, instant } from '../shared/format.js';

const units = (n) => (n === 1 ? '1 unit' : `${count(n)} units`);
const seconds = (n) => (n === 1 ? '1 second' : `${count(n)} seconds`);
const are = (n) => (n === 1 ? '1 unit is' : `${count(n)} units are`);

export const frame = {
  name: 'FlashReserve',
  store: 'demo store',
  skip: 'Skip to the content',
  signIn: 'Sign in',
  signOut: 'Sign out',
  signedInAs: 'Signed in as',
  console: 'Console',
  about: 'A store to try FlashReserve in. Payments are simulated; nothing is charged and nothing is sent.',
};

export const list = {
  title: 'Products',
  documentTitle: 'FlashReserve: demo store',
  lead: 'Every unit is sold once, however many people want it at the same moment.',
  loading: 'Loading the products…',
  unreachable: 'The shop does not answer. The page keeps trying.',
  empty: 'Nothing is on sale yet',
  emptyAdvice: 'An admin puts products on sale in the console. This page shows them at once.',
  openConsole: 'Open the console',
  opensIn: (time) => `Opens in ${time}`,
  most: (n) => `These are the first ${count(n)} products.`,
};

export const badges = {
  before: 'Opens soon',
  opening: 'Opening',
  open: 'On sale now',
  'sold-out': 'Sold out',
  paused: 'Paused',
  over: 'Sale over',
  archived: 'No longer sold',
};

export const stock = {
  left: (available, all) => `${count(available)} of ${count(all)} left`,
  live: 'Live',
  polling: 'Checking every 2 s',
  reconnecting: 'Reconnecting…',
  old: (at) => `The connection is lost. This figure is from ${instant(new Date(at).toISOString())}.`,
};

export const product = {
  all: 'All products',
  each: 'each',
  limit: (n) => `At most ${units(n)} for each customer.`,
  about: 'About this product',
  title: (text, name) => `${text} · ${name}`,
};

/** The headings of the states. */
export const headings = {
  loading: 'Loading…',
  unknown: 'There is no such product',
  before: 'The sale opens in',
  opening: 'The sale is opening…',
  open: 'On sale now',
  reserving: 'Reserving…',
  held: (n) => `${are(n)} reserved for you`,
  paying: 'Pay by card',
  bought: (n) => `You bought ${units(n)}`,
  expired: 'Your hold is over',
  'sold-out': 'Sold out',
  paused: 'The sale is paused',
  over: 'The sale is over',
  archived: 'This product is no longer sold',
};

export const states = {
  loading: 'Asking the shop…',
  unreachable: 'The shop does not answer. The page keeps trying.',
  unknown: 'It may have been removed, or the address is incomplete.',
  toList: 'See all products',
  opensAt: 'Opens',
  endsAt: 'The sale ends',
  endedAt: 'It ended',
  notYet: 'You can reserve as soon as the sale opens. This page opens it by itself.',
  signInNow: 'Sign in now',
  signInBefore: 'Then one click is enough when the sale opens.',
  hurry: 'One moment.',
  quantity: 'Quantity',
  fewer: 'One less',
  more: 'One more',
  quantityRange: (most) => `1 to ${count(most)}`,
  quantityInvalid: (most) => `Choose a number from 1 to ${count(most)}.`,
  total: 'Total',
  reserve: 'Reserve',
  holdFor: (ms) => `Reserving costs nothing. You then have ${lengthOf(ms)} to pay.`,
  limitUsed: (n) => `You have ${units(n)} already, as many as one customer may.`,
  timeLeft: 'left to pay',
  held: 'Meanwhile nobody else can buy what you hold.',
  payNow: 'Pay now',
  giveBack: 'Give back',
  moreTime: (left) => `More time (${count(left)} left)`,
  noMoreTime: 'More time is not possible any more.',
  pausedWhileHeld: (reason) => `The sale is paused: ${reason} Your hold goes on, and you can pay.`,
  bought: 'Thank you for your purchase.',
  reservation: 'Reservation',
  boughtAt: 'Bought',
  buyAnother: 'Buy another',
  expired: (n) => `${n === 1 ? 'Your unit' : `Your ${units(n)}`} went back on sale, because the time to pay was over.`,
  tryAgain: 'Try again',
  onHold: (n) => `Others are holding ${units(n)}. If one comes back, you can buy it here.`,
  allSold: 'No unit is on hold now. If one is returned, you can buy it here.',
  soldOut: 'If a unit comes back, you can buy it here.',
  stay: 'This page shows it at once, without a reload.',
  pausedStay: 'The sale continues on this page as soon as the shop resumes it.',
  reason: 'The shop says:',
  archived: 'The shop has taken it off the list.',
};

/** A question before units are given back. */
export const giveBack = (n) => ({
  title: `Give back ${units(n)}?`,
  effect:
    n === 1
      ? 'Your unit goes back on sale at once, and others can take it.'
      : `Your ${units(n)} go back on sale at once, and others can take them.`,
  confirm: 'Give back',
  cancel: 'Keep',
});

export const card = {
  intro: 'A simulated bank: choose how it behaves.',
  behaviour: 'The bank',
  works: 'accepts the card',
  refuses: 'refuses the card',
  slow: 'is slow (8 seconds)',
  pay: (sum) => `Pay ${sum}`,
  back: 'Back',
  working: 'The bank is working…',
  refused: 'The bank refused the card. Your hold goes on: try again, or go back and give back what you hold.',
  interrupted: 'The payment was not sent, because the page was reloaded. Nothing was charged.',
  closeTab: 'You may even close the tab: the hold goes on, and this page resumes when you come back in time.',
};

export const progress = {
  reserving: 'Reserving…',
  paying: 'Confirming the purchase…',
  returning: 'Giving back…',
  extending: 'Asking for more time…',
  again: (tries) => `No answer yet. Asking again with the same key (${tries + 1} of 8)…`,
  unanswered: 'No answer came. The request may or may not have been carried out; asking again takes nothing twice.',
  ask: 'Ask again',
};

export const signIn = {
  title: { buy: 'Sign in to reserve', over: 'Sign in again', asked: 'Sign in' },
  intro: {
    buy: 'Then the purchase goes on by itself. New here? Choose an e-mail address and a password, and sign up.',
    over: 'Your sign-in is over. What you had begun goes on afterwards.',
    asked: 'New here? Choose an e-mail address and a password, and sign up.',
  },
  email: 'E-mail address',
  password: 'Password',
  passwordHint: 'A new one has at least 8 characters, and is not a common one.',
  signIn: 'Sign in',
  signUp: 'Sign up',
  cancel: 'Cancel',
  working: 'Asking the shop…',
  wrong: 'The address or the password is wrong.',
  taken: 'There is an account with this address already. Sign in instead.',
  unanswered: 'No answer came. Try again.',
};

export const trouble = {
  title: 'When the network fails',
  label: 'Network trouble',
  intro:
    'When this is on, about half of the answers are dropped after the shop has acted, as a bad connection does. The ' +
    'page asks again with the same idempotency key, so nothing is taken twice, and nothing is lost.',
  dropped: 'Answers dropped',
  again: 'Asked again',
  twice: 'Taken twice',
};

/** What the live region says. */
export const spoken = {
  timeLeft: (ms) => `${lengthOf(ms)} left to pay.`,
  opensIn: (ms) => `The sale opens in ${lengthOf(ms)}.`,
  back: (n) => `Back on sale: ${are(n)} left.`,
  extended: 'You have more time.',
};

/** Parts of a countdown: names of days, hours, minutes, seconds. */
export const parts = {
  days: (n) => (n === 1 ? 'day' : 'days'),
  hours: (n) => (n === 1 ? 'hour' : 'hours'),
  minutes: () => 'min',
  seconds: () => 's',
};

/** A length of time in words. */
export function lengthOf(ms) {
  const s = Math.round(ms / 1000);
  if (s < 60) return seconds(s);
  if (s % 60 === 0 && s < 3600) return s === 60 ? '1 minute' : `${s / 60} minutes`;
  return clockText(ms);
}

/** Why the API refused, by the code of its problem. The facts are members of the document. */
const REFUSALS = {
  'bad-request': ({ errors, detail }) => sentence(errors?.[0]?.message ?? detail),
  unauthenticated: () => 'Your sign-in is over. Sign in again.',
  forbidden: () => 'Your account may not do this.',
  'cross-site': () => 'The shop refuses changes that come from another site.',
  'not-on-sale': ({ saleEndsAt, saleStartsAt }) =>
    saleStartsAt && !saleEndsAt
      ? `The sale opens ${instant(saleStartsAt)}. Nothing was reserved.`
      : 'The product is not on sale now. Nothing was reserved.',
  'sale-paused': ({ reason }) => `The sale is paused: ${sentence(reason)} Nothing was reserved.`,
  'not-found': () => 'The shop does not know this any more.',
  'request-timeout': () => 'The request took too long to arrive. Try again.',
  'sold-out': ({ available }) =>
    available > 0
      ? `Only ${are(available)} left. Choose fewer.`
      : 'Somebody was faster: no unit is left at the moment.',
  'limit-reached': ({ limit }) => `One customer may have ${units(limit)} of this product, held and bought together.`,
  'already-confirmed': () => 'You have bought these units already.',
  cancelled: () => 'These units were given back already.',
  'extensions-used-up': () => 'More time is not possible any more. Pay now, or give back what you hold.',
  'email-taken': () => signIn.taken,
  expired: () => 'The time was over before you paid. Nothing was charged.',
  'key-reused': () => 'This click was used for something else. Click again.',
  'too-many-tries': ({ retryAfterSeconds }) => `Too many tries. Try again in ${seconds(retryAfterSeconds)}.`,
  'open-holds-reached': ({ retryAfterSeconds }) =>
    `You have as many holds as one customer may. Pay or give back one, or wait ${lengthOf(retryAfterSeconds * 1000)}.`,
  'hourly-holds-reached': ({ retryAfterSeconds }) =>
    `You have reserved as often as one customer may in an hour. Try again in ${lengthOf(retryAfterSeconds * 1000)}.`,
  'lapses-reached': ({ retryAfterSeconds }) =>
    `You let too many holds of this hour end without paying. Try again in ${lengthOf(retryAfterSeconds * 1000)}.`,
  internal: () => 'The shop has made a mistake. Try again later.',
  unavailable: () => 'The shop is busy. Nothing was taken. Try again in a moment.',
  'outcome-unknown': () => progress.unanswered,
};

/** A refusal as a sentence. A code without one shows what the problem says itself. */
export function refusal(problem) {
  if (!problem) return 'The shop refused the request, and did not say why.';
  const words = Object.hasOwn(REFUSALS, problem.code) && REFUSALS[problem.code](problem);
  return words || `${problem.title}: ${sentence(problem.detail)}`;
}

/** A text of the API as a sentence: with a capital letter and a full stop. */
export function sentence(text) {
  const begun = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?…]$/.test(begun) ? begun : `${begun}.`;
}
