/* The figures of one product: a chart since its first reservation, and refusals by reason. */
import { html } from '../shared/html.js';
import { count, Time } from '../shared/format.js';
import { Chart } from './charts.js';
import { Section } from './page.js';
import { Table } from './table.js';
import { refusals } from './texts/refusals.js';
import { product as texts } from './texts/products.js';

const SERIES = ['reserved', 'bought', 'returned'];

/** The chart and the refusals. `figures` is the body of `GET /products/{id}/figures`. */
export function ProductFigures({ figures }) {
  return html`
    <${Section} title=${texts.chart}><${SinceOpening} figures=${figures} /><//>
    <${Section} title=${texts.refusals}><${Refusals} refused=${figures.refusals} /><//>
  `;
}

function SinceOpening({ figures }) {
  const { start, everySeconds } = figures;
  if (!start || figures.reserved.length === 0) return html`<p class="muted">${texts.noChart}</p>`;
  const first = Date.parse(start) / 1000;
  const times = figures.reserved.map((_, place) => first + place * everySeconds);
  const sums = SERIES.map((name) => [texts.series[name], figures[name].reduce((sum, n) => sum + n, 0)]);
  const table = {
    caption: texts.chartTitle,
    columns: [
      { head: texts.from, cell: ({ second }) => html`<${Time} at=${new Date(second * 1000).toISOString()} />` },
      ...SERIES.map((name) => ({ head: texts.series[name], numeric: true, cell: (row) => count(row[name]) })),
    ],
    rows: times.map((second, place) => ({
      second,
      ...Object.fromEntries(SERIES.map((name) => [name, figures[name][place]])),
    })),
    rowKey: ({ second }) => second,
  };
  const series = SERIES.map((name) => ({ label: texts.series[name], values: figures[name] }));
  return html`<${Chart} ...${{ title: texts.chartTitle, summary: texts.chartSummary(sums), times, series, table }} />`;
}

function Refusals({ refused }) {
  const rows = Object.entries(refused).sort(([, one], [, other]) => other - one);
  const columns = [
    { head: texts.reason, cell: ([code]) => refusals[code] ?? code },
    { head: texts.times, numeric: true, cell: ([, times]) => count(times) },
  ];
  if (rows.length === 0) return html`<p class="muted">${texts.noRefusals}</p>`;
  return html`<${Table} caption=${texts.refusalsNote} columns=${columns} rows=${rows} rowKey=${([code]) => code} />`;
}
