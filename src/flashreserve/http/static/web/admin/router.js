/* Addresses of pages. The part of an address after `admin/` is the page's path; its query has the page's filters. */
import { root } from '../shared/api.js';
import { makeStore } from '../shared/store.js';

const base = `${root}admin`;
const place = makeStore(placeNow());

addEventListener('popstate', () => place.write({ ...placeNow(), by: 'visitor' }));

function placeNow() {
  const path = location.pathname.slice(base.length).replace(/^\/+|\/+$/g, '');
  return { path, query: Object.fromEntries(new URLSearchParams(location.search)) };
}

/** The query as it stands in an address, with its question mark. Empty values are left out. */
export function queryText(query) {
  const text = new URLSearchParams(Object.entries(query).filter(([, value]) => value)).toString();
  return text && `?${text}`;
}

/** The address of the page with this path, such as `products/new`. */
export const pageAddress = (path = '', query = {}) => base + (path && `/${path}`) + queryText(query);

/** The address of one thing's page: `thingAddress('customers', 'shop:42')`. Ids may have any character. */
export const thingAddress = (section, id) => pageAddress(`${section}/${encodeURIComponent(id)}`);

/**
 * The page that is shown: its `path`, its `query` (an object), and `by`, which tells how the console got there: by the
 * `visitor` (a link, or Back), by the `program` after a change, or by another `filter`; undefined for the first page.
 */
export const usePlace = place.use;

/** Show the page with this address. For `by` see `usePlace`; with `replace`, Back leads past the page before. */
export function go(address, { by = 'program', replace = false } = {}) {
  history[replace ? 'replaceState' : 'pushState'](null, '', address);
  place.write({ ...placeNow(), by });
}

/** Follow links to pages of the console without loading it again. To be called for every click. */
export function followLink(event) {
  const link = event.target.closest?.('a[href]');
  const plain = event.button === 0 && !(event.ctrlKey || event.metaKey || event.shiftKey || event.altKey);
  if (!link || !plain || event.defaultPrevented || link.target || link.hasAttribute('download')) return;
  const { origin, pathname, search } = new URL(link.href);
  if (origin !== location.origin || !`${pathname}/`.startsWith(`${base}/`)) return;
  event.preventDefault();
  go(pathname + search, { by: 'visitor' });
}
