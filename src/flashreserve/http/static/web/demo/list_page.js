/* The list of products, with their states and the units left. */
import { html, useEffect, useRef, useState } from '../shared/html.js';
import { call, root } from '../shared/api.js';
import { measureClock } from '../shared/clock.js';
import { clockText, count, price } from '../shared/format.js';
import { useCustomer } from './customer.js';
import { useNow } from './now.js';
import { goOnSignedIn, usePurchase } from './purchase.js';
import { SignIn } from './sign_in.js';
import { stateOf } from './state.js';
import { badges, list as texts, signIn as signInTexts, stock as stockTexts } from './texts.js';
import { Tile } from './tile.js';

const PRODUCTS_MAX = 100;
const POLL_MS = 3000;

/** The page. It asks for the whole list now and then: one request, where a stream for each product would be many. */
export function ListPage() {
  const { products, more, unreachable } = useProducts();
  const now = useNow(1000);
  useEffect(() => {
    document.title = texts.documentTitle;
    measureClock();
  }, []);
  const state = products === null ? 'loading' : products.length === 0 ? 'empty' : 'list';
  return html`<main id="main" tabindex="-1" data-state=${state}>
    <${SignInHere} />
    <div class="hero">
      <h1>${texts.title}</h1>
      <p>${texts.lead}</p>
    </div>
    ${unreachable && html`<p class="fault" role="alert">${texts.unreachable}</p>`}
    ${state === 'loading' && !unreachable && html`<p class="muted">${texts.loading}</p>`}
    ${state === 'empty' && html`<${Empty} />`}
    ${
      state === 'list' &&
      html`<ul class="cards">
      ${products.map((product) => html`<li key=${product.id}><${Entry} product=${product} now=${now} /></li>`)}
    </ul>`
    }
    ${more && html`<p class="muted">${texts.most(PRODUCTS_MAX)}</p>`}
  </main>`;
}

/** The form to sign in, if the customer asked for it. */
function SignInHere() {
  const { signIn } = usePurchase();
  const customer = useCustomer();
  const heading = useRef(null);
  useEffect(() => {
    if (customer && signIn) goOnSignedIn();
  }, [customer?.id]);
  useEffect(() => heading.current?.focus(), [signIn]);
  return (
    signIn &&
    html`<section class="panel" aria-labelledby="sign-in">
    <h2 id="sign-in" ref=${heading} tabindex="-1">${signInTexts.title[signIn.why]}</h2>
    <${SignIn} why=${signIn.why} />
  </section>`
  );
}

function Empty() {
  return html`<section class="empty">
    <h2>${texts.empty}</h2>
    <p>${texts.emptyAdvice}</p>
    <p><a class="button primary" href="${root}admin">${texts.openConsole}</a></p>
  </section>`;
}

function Entry({ product, now }) {
  const { available, saleStartsAt } = product;
  const state = stateOf(product, { available }, null, now);
  const words = state === 'before' ? texts.opensIn(clockText(Date.parse(saleStartsAt) - now)) : badges[state];
  return html`<article class="card entry" data-state=${state} data-available=${available}>
    <${Tile} product=${product} />
    <h2><a href="${root}demo/${product.id}">${product.name}</a></h2>
    <p class="price">${price(product.price, product.currency)}</p>
    <p class="entry-foot">
      <span class="badge ${state}">${words}</span>
      <span class="muted">${stockTexts.left(available, product.stockQuantity)}</span>
    </p>
  </article>`;
}

/** The products: `products` (null until they are known), `more` (there are others), and `unreachable`. */
function useProducts() {
  const [shown, show] = useState({ products: null, more: false, unreachable: false });
  useEffect(() => {
    let timer;
    let over = false;
    const load = async () => {
      const found = document.visibilityState === 'hidden' ? null : await products().catch(() => 'none');
      if (over) return;
      if (found === 'none') show((before) => ({ ...before, unreachable: true }));
      else if (found) show({ ...found, unreachable: false });
      timer = setTimeout(load, POLL_MS);
    };
    const onShown = () => {
      clearTimeout(timer);
      load();
    };
    load();
    document.addEventListener('visibilitychange', onShown);
    return () => {
      over = true;
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', onShown);
    };
  }, []);
  return shown;
}

/** Read pages until there are enough products. A page may be short although there is a next one. */
async function products() {
  const items = [];
  let cursor = '';
  do {
    const { data } = await call('GET', `products?limit=${PRODUCTS_MAX}${cursor}`, { cookies: false });
    items.push(...data.items);
    cursor = data.nextCursor && `&cursor=${encodeURIComponent(data.nextCursor)}`;
  } while (cursor && items.length < PRODUCTS_MAX);
  return { products: items.slice(0, PRODUCTS_MAX), more: Boolean(cursor) || items.length > PRODUCTS_MAX };
}
