/* Names of products, for lists that have only ids. Each product is asked for once. */
import { html, useEffect } from '../shared/html.js';
import { thingAddress } from './router.js';
import { ask } from './session.js';
import { makeStore } from '../shared/store.js';
import { Id } from './table.js';

const known = makeStore({});
const asked = new Set();

/** The product with this id; undefined until it is known, and if there is none. */
export function useProduct(id) {
  const products = known.use();
  useEffect(() => {
    if (id && !asked.has(id)) learn(id);
  }, [id]);
  return products[id];
}

/** A function that names the product with this id: by the id itself as long as the name isn't known. */
export function useProductNames() {
  const products = known.use();
  return (id) => products[id]?.name ?? id;
}

async function learn(id) {
  asked.add(id);
  const answer = await ask('GET', `products/${id}`).catch(() => undefined);
  if (answer?.ok) known.write({ ...known.read(), [id]: answer.data });
  else if (answer?.status !== 404) asked.delete(id);
}

/** A link to a product, by its name as soon as that is known. */
export function ProductLink({ id }) {
  const product = useProduct(id);
  const address = thingAddress('products', id);
  return product ? html`<a href=${address}>${product.name}</a>` : html`<${Id} id=${id} href=${address} />`;
}
