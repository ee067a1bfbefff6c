/* The changes of a sale: pause, resume, open now. */
import { instant } from '../shared/format.js';
import { serverNow } from '../shared/clock.js';
import { change } from './changes.js';
import { learn } from './overview.js';
import { ask } from './session.js';
import { saleChanges as texts } from './texts/today.js';

const reasonField = {
  name: 'reason',
  label: texts.reason,
  hint: texts.reasonHint,
  required: true,
  attributes: { maxlength: 500, autocomplete: 'off' },
};

/** Make a change, and show its result: `update(sale, done)` returns what is new of the sales that it concerns. */
async function changeSale(wanted, concerns, update) {
  const done = await change(wanted);
  if (!done) return null;
  learn((overview) => ({
    ...overview,
    sales: overview.sales.map((sale) => (concerns(sale) ? { ...sale, ...update(sale, done) } : sale)),
  }));
  return done;
}

const only = (changed) => (sale) => sale.id === changed.id;
const every = () => true;

/** Pause the sale of one product. `sale` has its id, name and held units. */
export const pauseSale = (sale) =>
  changeSale(
    {
      title: texts.pauseOf(sale.name),
      effect: texts.pauseEffect(sale.name, sale.held),
      confirm: texts.pauseOf(sale.name),
      fields: [reasonField],
      run: ({ reason }) => ask('POST', `products/${sale.id}/pause`, { body: { reason } }),
      done: ({ settling }) => texts.paused(sale.name, settling),
    },
    only(sale),
    (_, { values }) => ({ pauseReason: values.reason }),
  );

/** Resume the sale of one product. */
export const resumeSale = (sale) =>
  changeSale(
    {
      title: texts.resumeOf(sale.name),
      effect: texts.resumeEffect(sale.name, sale.available),
      confirm: texts.resumeOf(sale.name),
      run: () => ask('POST', `products/${sale.id}/resume`),
      done: ({ paused }) => (paused ? texts.stillPaused(sale.name) : texts.resumed(sale.name)),
    },
    only(sale),
    ({ pauseReason }, { data }) => ({ pauseReason: data.paused ? pauseReason : null }),
  );

/** Open the sale of one product now. */
export const openSale = (sale) =>
  changeSale(
    {
      title: texts.openNowOf(sale.name),
      effect: texts.openNowEffect(sale.name, instant(sale.saleStartsAt), sale.available),
      confirm: texts.openNow,
      run: () => ask('PATCH', `products/${sale.id}`, { body: { saleStartsAt: new Date(serverNow()).toISOString() } }),
      done: () => texts.opened(sale.name),
    },
    only(sale),
    (_, { data }) => ({ saleStartsAt: data.saleStartsAt }),
  );

/** Pause the sale of all products. */
export async function pauseAll(sales) {
  const held = sales.reduce((sum, sale) => sum + sale.held, 0);
  const done = await changeSale(
    {
      title: texts.pauseAll,
      effect: texts.pauseAllEffect(sales.length, held),
      confirm: texts.pauseAll,
      grave: true,
      fields: [reasonField],
      run: ({ reason }) => ask('POST', 'pause', { body: { reason } }),
      done: ({ settling }) => texts.paused(texts.allSales, settling),
    },
    every,
    ({ pauseReason }, { values }) => ({ pauseReason: pauseReason ?? values.reason }),
  );
  if (done) learn((overview) => ({ ...overview, shopPauseReason: done.values.reason }));
}

/** End the pause of all products. */
export async function resumeAll(sales, shopPauseReason) {
  const own = sales.filter(({ pauseReason }) => pauseReason !== shopPauseReason).length;
  const done = await changeSale(
    {
      title: texts.resumeAll,
      effect: texts.resumeAllEffect(own),
      confirm: texts.resumeAll,
      run: () => ask('POST', 'resume'),
      done: () => texts.resumed(texts.allSales),
    },
    every,
    ({ pauseReason }) => ({ pauseReason: pauseReason === shopPauseReason ? null : pauseReason }),
  );
  if (done) learn((overview) => ({ ...overview, shopPauseReason: null }));
}
