/* The operator's console: which page stands at which address, and the way from one to the next. */
import { html, render, useEffect, useState } from '../shared/html.js';
import { measureClock } from '../shared/clock.js';
import { Frame, Outside } from './frame.js';
import { followOverview } from './overview.js';
import { Fault } from './resource.js';
import { followLink, usePlace } from './router.js';
import { useSession } from './session.js';
import { common } from './texts/common.js';

/* Each page is loaded when it is shown first. */
const PAGES = {
  '': () => import('./pages/today.js'),
  products: () => import('./pages/products.js'),
  'products/new': () => import('./pages/new_product.js'),
  'products/:id': () => import('./pages/product.js'),
  reservations: () => import('./pages/reservations.js'),
  'reservations/:id': () => import('./pages/reservation.js'),
  holds: () => import('./pages/holds.js'),
  customers: () => import('./pages/customers.js'),
  'customers/:id': () => import('./pages/customer.js'),
  audit: () => import('./pages/audit.js'),
  webhooks: () => import('./pages/webhooks.js'),
  'webhooks/:id': () => import('./pages/webhook.js'),
  people: () => import('./pages/people.js'),
  health: () => import('./pages/health.js'),
};
const UNKNOWN = () => import('./pages/unknown.js');
const OUTSIDE = {
  unknown: () => import('./pages/starting.js'),
  foreign: () => import('./pages/foreign_account.js'),
  out: () => import('./pages/sign_in.js'),
  over: () => import('./pages/sign_in.js'),
};
const FIRST_ADMIN = () => import('./pages/first.js');

/** The page at a path, and the id in the path if the page is about one thing. */
function pageAt(path) {
  if (Object.hasOwn(PAGES, path)) return { load: PAGES[path] };
  const [section, id, ...rest] = path.split('/');
  const load = id && rest.length === 0 && PAGES[`${section}/:id`];
  try {
    return load ? { load, id: decodeURIComponent(id) } : { load: UNKNOWN };
  } catch {
    return { load: UNKNOWN };
  }
}

function Console() {
  const place = usePlace();
  const { state } = useSession();
  useEffect(() => {
    measureClock();
  }, []);
  if (place.path === 'first') return html`<${Outside}><${LoadedPage} load=${FIRST_ADMIN} /><//>`;
  if (state === 'in') return html`<${SignedIn} path=${place.path} />`;
  return html`<${Outside}><${LoadedPage} key=${state} load=${OUTSIDE[state]} /><//>`;
}

function SignedIn({ path }) {
  useEffect(followOverview, []);
  return html`<${Frame}><${LoadedPage} key=${path} ...${pageAt(path)} /><//>`;
}

function LoadedPage({ load, id }) {
  const [state, setState] = useState({});
  useEffect(() => {
    load().then(
      (module) => setState({ Page: module.default }),
      () => setState({ fault: common.noAnswer }),
    );
  }, []);
  // A browser may remember that a module couldn't be loaded, so a retry loads the whole page.
  if (state.fault) return html`<${Fault} text=${state.fault} retry=${() => location.reload()} />`;
  return state.Page ? html`<${state.Page} id=${id} />` : html`<p class="muted">${common.loading}</p>`;
}

document.addEventListener('click', followLink);
render(html`<${Console} />`, document.getElementById('app'));
