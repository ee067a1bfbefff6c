/* Numbers, prices and times as people read them. */
import { html } from './html.js';

const { lang } = document.documentElement;

/** The visitor's kind of the page's language, such as en-GB, so that dates and words are in one language. */
const locale = navigator.languages.find((each) => each.split('-')[0] === lang) ?? lang;

const numbers = new Intl.NumberFormat(locale);
const instants = new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'medium' });

/** A number with separators. */
export const count = (n) => numbers.format(n);

/** A price with its currency. The API sends prices as decimal text, which stays exact here. */
export const price = (text, currency) => new Intl.NumberFormat(locale, { style: 'currency', currency }).format(text);

/** An instant of the API in the visitor's time zone. */
export const instant = (isoText) => instants.format(new Date(isoText));

/** The same instant in UTC. */
export const utc = (isoText) => `${new Date(isoText).toISOString().slice(0, 19).replace('T', ' ')} UTC`;

/** A length of time as a clock shows it: 3:21, or 1:03:21, or 12 days. The last second counts until it is over. */
export function clockText(ms) {
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  if (hours >= 48) return `${Math.floor(hours / 24)} days`;
  const pad = (n) => String(n).padStart(2, '0');
  return hours > 0 ? `${hours}:${pad(minutes)}:${pad(seconds % 60)}` : `${minutes}:${pad(seconds % 60)}`;
}

/** An instant in the visitor's time zone, with UTC in its title. */
export const Time = ({ at }) => html`<time datetime=${at} title=${utc(at)}>${instant(at)}</time>`;
