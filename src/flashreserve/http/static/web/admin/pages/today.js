/* Today: each sale, what happens per second, and how the service does. */
import { html } from '../../shared/html.js';
import { count, price, Time } from '../../shared/format.js';
import { Chart } from '../charts.js';
import { RATES, useOverview } from '../overview.js';
import { Page, Section } from '../page.js';
import { pageAddress, thingAddress } from '../router.js';
import { SaleActions } from '../sale_actions.js';
import { pauseAll, resumeAll } from '../sale_changes.js';
import { SaleState, StockBar } from '../sale_state.js';
import { StorefrontLink } from '../storefront.js';
import { Facts, Table } from '../table.js';
import { verdictWords } from '../texts/audit.js';
import { common } from '../texts/common.js';
import { saleChanges, today as texts } from '../texts/today.js';

const SALES_MAX = 100;

/** The page Today. */
export default function Today() {
  const { overview, rates } = useOverview();
  return html`<${Page} title=${texts.title}>
    ${overview ? html`<${Sales} overview=${overview} />` : html`<p class="muted">${common.loading}</p>`}
    <${Section} title=${texts.charts}><${Rates} rates=${rates} /><//>
    ${overview && html`<${Figures} overview=${overview} /><${Processes} processes=${overview.processes} />`}
  <//>`;
}

function Sales({ overview: { sales, shopPauseReason } }) {
  const add = html`<a class="button" href=${pageAddress('products/new')}>${texts.add}</a>`;
  if (sales.length === 0) {
    return html`<section class="empty"><h2>${texts.empty}</h2><p>${texts.emptyAdvice}</p>${add}</section>`;
  }
  return html`<${Section} title=${texts.sales}>
    <div class="actions">
      ${
        shopPauseReason === null
          ? html`<button type="button" onClick=${() => pauseAll(sales)}>${saleChanges.pauseAll}</button>`
          : html`<button type="button" class="primary" onClick=${() => resumeAll(sales, shopPauseReason)}>
            ${saleChanges.resumeAll}
          </button>`
      }
      ${add}
    </div>
    <ul class="cards">
      ${sales.map((sale) => html`<li key=${sale.id}><${Sale} sale=${sale} shopPauseReason=${shopPauseReason} /></li>`)}
    </ul>
    ${sales.length >= SALES_MAX && html`<p class="muted">${texts.salesLimit(SALES_MAX)}</p>`}
  <//>`;
}

function Sale({ sale, shopPauseReason }) {
  return html`<article class="card">
    <h3><a href=${thingAddress('products', sale.id)}>${sale.name}</a></h3>
    <p class="price">${price(sale.price, sale.currency)}</p>
    <${SaleState} sale=${sale} />
    <${StockBar} sale=${sale} />
    <div class="actions">
      <${SaleActions} sale=${sale} shopPauseReason=${shopPauseReason} />
      <${StorefrontLink} productId=${sale.id} text=${texts.storefront} />
    </div>
  </article>`;
}

function Rates({ rates }) {
  if (!rates) return html`<p class="muted">${texts.noHistory}</p>`;
  return html`<div class="charts">
    <${RateChart} title=${texts.chartUnits} names=${RATES.filter((name) => name !== 'refused')} rates=${rates} />
    <${RateChart} title=${texts.chartRefused} note=${texts.refusedNote} names=${['refused']} rates=${rates} />
  </div>`;
}

function RateChart({ title, note, names, rates }) {
  const length = rates[names[0]].length;
  const times = Array.from({ length }, (_, place) => rates.end - length + place);
  const series = names.map((name) => ({ label: texts.rates[name], values: rates[name] }));
  const latest = names.map((name) => `${texts.rates[name]} ${count(rates[name].at(-1) ?? 0)}`).join(', ');
  const table = {
    caption: texts.perMinute(title),
    columns: [
      { head: texts.minute, cell: ({ minute }) => html`<${Time} at=${new Date(minute * 60_000).toISOString()} />` },
      ...names.map((name) => ({
        head: texts.rates[name],
        numeric: true,
        cell: (row) => (row[name] === null ? texts.notKnown : count(row[name])),
      })),
    ],
    rows: minutes(times, names, rates),
    rowKey: ({ minute }) => minute,
  };
  return html`<${Chart} ...${{ title, note, times, series, table, summary: texts.chartSummary(title, latest) }} />`;
}

/** The sums of each minute, newest first. */
function minutes(times, names, rates) {
  const rows = new Map();
  times.forEach((second, place) => {
    const minute = Math.floor(second / 60);
    const row = rows.get(minute) ?? { minute, ...Object.fromEntries(names.map((name) => [name, null])) };
    for (const name of names) if (rates[name][place] !== null) row[name] += rates[name][place];
    rows.set(minute, row);
  });
  return [...rows.values()].reverse();
}

function Figures({ overview: { latencyMs, queue, oldestDueSeconds, streams, audit } }) {
  return html`<${Section} title=${texts.figures}>
    <${Facts}
      entries=${[
        [texts.p50, latencyMs ? texts.ms(latencyMs.p50) : texts.noLatency],
        [texts.p99, latencyMs ? texts.ms(latencyMs.p99) : texts.noLatency],
        [texts.queue, count(queue)],
        [texts.oldestDue, oldestDueSeconds > 0 ? texts.seconds(oldestDueSeconds) : texts.nothingDue],
        [texts.streams, count(streams)],
        [texts.audit, html`<${LastAudit} audit=${audit} />`],
      ]}
    />
  <//>`;
}

function LastAudit({ audit }) {
  const link = html`<a href=${pageAddress('audit')}>${audit ? verdictWords(audit) : texts.neverAudited}</a>`;
  return audit ? html`${link} <${Time} at=${audit.at} />` : link;
}

function Processes({ processes }) {
  const columns = [
    { head: texts.role, cell: ({ role }) => texts.roles[role] ?? role },
    { head: texts.host, cell: ({ host }) => host },
    { head: texts.pid, numeric: true, cell: ({ pid }) => pid },
    { head: texts.version, cell: ({ version }) => version },
    { head: texts.started, cell: ({ startedAt }) => html`<${Time} at=${startedAt} />` },
    { head: texts.seen, cell: ({ seenAt }) => html`<${Time} at=${seenAt} />` },
  ];
  return html`<${Table} caption=${texts.processes} columns=${columns} rows=${processes} />`;
}
