/* Links to the storefront, which is off in production unless it is turned on. */
import { html, useEffect } from '../shared/html.js';
import { call, root } from '../shared/api.js';
import { makeStore } from './store.js';

const served = makeStore(null);

/** A link to the storefront, or to one product there; nothing if the storefront is off. */
export function StorefrontLink({ productId, text }) {
  const shown = served.use();
  useEffect(() => {
    if (served.read() === null) ask();
  }, []);
  return shown && html`<a href="${root}demo${productId ? `/${productId}` : ''}">${text}</a>`;
}

async function ask() {
  served.write(false);
  const answer = await call('HEAD', 'demo').catch(() => ({}));
  served.write(answer.ok ?? null);
}
