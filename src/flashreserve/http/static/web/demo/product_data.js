/* One product and its stock, live. */
import { call } from '../shared/api.js';
import { measureClock, serverNow } from '../shared/clock.js';
import { makeStore } from '../shared/store.js';
import { follow } from '../shared/stream.js';

const RELOAD_MS = 5000;
const RELOAD_LIVE_MS = 60_000;
const RETRY_MS = 2000;
/** How long the page waits for the time of the service. */
const CLOCK_MS_MAX = 3000;

/**
 * What is known: `timed` (the time of the service is known; by a wrong clock of the visitor's, the page would show a
 * wrong state), `product` (as of the API; null if there is none, undefined until it is known), `stock` (`available`,
 * and `held`, which is null while it isn't known), `connection` (`live`, `reconnecting` or `polling`), `freshAtMs`
 * (when the stock was certainly right, if it isn't live), and `unreachable` (the product could not be asked for).
 */
const shown = makeStore({
  timed: false,
  product: undefined,
  stock: { available: 0, held: null },
  connection: 'reconnecting',
  freshAtMs: 0,
  unreachable: false,
});
let loadedAtMs = -Infinity;

/** The product with its stock, in a component. */
export const useShownProduct = shown.use;

/** Follow the product with this id until the returned function is called. */
export function followProduct(id) {
  let stop;
  let timer;
  async function reloadLate() {
    const { product, connection } = shown.read();
    const everyMs = product === undefined ? RETRY_MS : connection === 'live' ? RELOAD_LIVE_MS : RELOAD_MS;
    if (performance.now() - loadedAtMs >= everyMs) await reloadProduct(id);
    if (isDead(shown.read())) {
      stop?.();
      stop = undefined;
    }
    if (shown.read().product) stop ??= followStock(id);
    if (shown.read().product !== null) timer = setTimeout(reloadLate, RETRY_MS);
  }
  reloadLate();
  learnTime();
  return () => {
    clearTimeout(timer);
    stop?.();
  };
}

async function learnTime() {
  const late = new Promise((resolve) => setTimeout(resolve, CLOCK_MS_MAX));
  await Promise.race([measureClock(), late]);
  change({ timed: true });
}

/** A stream may seem to be open although its connection is dead. A request that gets no answer shows it. */
const isDead = ({ connection, unreachable }) => connection === 'live' && unreachable;

function followStock(id) {
  return follow(
    `products/${id}/events`,
    { onEvent: (_, event) => takeEvent(event), onState: takeConnection },
    { pollPath: `products/${id}/stock`, onPoll: takeStock },
  );
}

/** Read the product anew, for example when its sale opens. */
export async function reloadProduct(id) {
  loadedAtMs = performance.now();
  const answer = await call('GET', `products/${id}`, { cookies: false }).catch(() => null);
  if (answer?.ok) takeProduct(answer.data);
  else if (answer && answer.status < 500) change({ product: null, unreachable: false });
  else change({ unreachable: true });
}

const change = (news) => shown.write({ ...shown.read(), ...news });

function takeProduct(product) {
  const { stock, connection } = shown.read();
  if (connection === 'live') change({ product, unreachable: false });
  else
    change({ product, unreachable: false, stock: { ...stock, available: product.available }, freshAtMs: serverNow() });
}

/** An event has the state of the sale too, which changes by a pause or an edit. */
function takeEvent({ available, held, productId, asOf, ...sale }) {
  const { product } = shown.read();
  change({ product: product && { ...product, ...sale }, stock: { available, held }, freshAtMs: serverNow() });
}

/** A polled stock doesn't tell how many units are held. */
function takeStock({ available }) {
  change({ stock: { available, held: null }, freshAtMs: serverNow() });
}

function takeConnection(connection) {
  const before = shown.read();
  change({ connection, freshAtMs: before.connection === 'live' ? serverNow() : before.freshAtMs });
}
