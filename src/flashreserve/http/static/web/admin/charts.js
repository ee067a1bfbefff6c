/* Charts by uPlot, each with the same figures as a table. */
import { html, useEffect, useRef, useState } from '../shared/html.js';
import uPlot from '../vendor/uplot.js';
import { Table } from './table.js';
import { common } from './texts/common.js';

const HEIGHT = 190;
const CALM_MS = 10_000;

/* The steps between ticks: seconds on the axis of time, and whole numbers. */
const DAY = 86_400;
const STEPS = [60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 43_200, DAY, 2 * DAY, 7 * DAY, 30 * DAY];
const WHOLE = [0, 1, 2, 3, 4, 5, 6, 7, 8].flatMap((power) => [1, 2, 5].map((n) => n * 10 ** power));

/** Lines differ by their dashes too, for those who can't tell the colours apart. */
const DASHES = [[], [6, 4], [2, 3], [10, 3, 2, 3]];

const dark = matchMedia('(prefers-color-scheme: dark)');
const calm = matchMedia('(prefers-reduced-motion: reduce)');

/**
 * A chart. `times` are seconds since 1970; or seconds from `spanX[0]` to `spanX[1]`, which `formatX` writes. `series`
 * are `{label, values}`; `table` has the properties of its twin. `bars` draws bars. `summary` says in words what it
 * shows, to those who don't see it.
 */
export function Chart({ title, summary, note, times, series, table, bars = false, spanX, formatX }) {
  const [shown, show] = useState(false);
  return html`<figure class="chart">
    <figcaption>
      <strong>${title}</strong>
      <ul class="legend">
        ${
          series.length > 1 &&
          series.map(({ label }, place) => html`<li key=${label}><${Sample} place=${place} />${label}</li>`)
        }
      </ul>
    </figcaption>
    <${Plot} ...${{ summary, times, series, bars, spanX, formatX }} />
    ${note && html`<p class="muted">${note}</p>`}
    <details onToggle=${(event) => show(event.target.open)}>
      <summary>${common.asTable}</summary>
      ${shown && html`<${Table} ...${table} />`}
    </details>
  </figure>`;
}

function Sample({ place }) {
  return html`<svg class="sample series-${place}" width="28" height="8" aria-hidden="true">
    <line x1="0" y1="4" x2="28" y2="4" stroke-dasharray=${DASHES[place].join(' ')} />
  </svg>`;
}

function Plot({ summary, times, series, ...look }) {
  const box = useRef(null);
  const plot = useRef(null);
  const drawn = useRef(-Infinity);
  const data = [times, ...series.map(({ values }) => values)];
  const latest = useRef(data);
  latest.current = data;
  const labels = series.map(({ label }) => label).join();

  useEffect(() => {
    const element = box.current;
    const draw = () => {
      plot.current?.destroy();
      plot.current = new uPlot(optionsOf(element, series, look), latest.current, element);
    };
    const observer = new ResizeObserver(() => {
      const width = element.clientWidth;
      if (width > 0 && width !== plot.current.width) plot.current.setSize({ width, height: HEIGHT });
    });
    draw();
    dark.addEventListener('change', draw);
    observer.observe(element);
    return () => {
      dark.removeEventListener('change', draw);
      observer.disconnect();
      plot.current.destroy();
      plot.current = null;
    };
  }, [labels]);

  useEffect(() => {
    const now = performance.now();
    if (calm.matches && now - drawn.current < CALM_MS) return;
    drawn.current = now;
    plot.current.setData(latest.current);
  });
  return html`<div class="plot" ref=${box} role="img" aria-label=${summary}></div>`;
}

function optionsOf(box, series, { bars, spanX, formatX }) {
  const style = getComputedStyle(box);
  const colour = (name) => style.getPropertyValue(name).trim();
  const axis = {
    stroke: colour('--chart-text'),
    grid: { stroke: colour('--chart-grid'), width: 1 },
    ticks: { show: false },
    font: `12px ${style.fontFamily}`,
  };
  const line = (place) => ({
    stroke: colour(`--chart-${place}`),
    fill: bars ? colour(`--chart-${place}`) : undefined,
    dash: DASHES[place],
    width: bars ? 0 : 2,
    points: { show: false },
    paths: bars ? uPlot.paths.bars({ size: [0.8, 24] }) : undefined,
  });
  return {
    width: Math.max(box.clientWidth, 100),
    height: HEIGHT,
    cursor: { show: false },
    legend: { show: false },
    scales: {
      x: { time: !spanX, range: spanX && (() => spanX) },
      y: { range: (_, __, most) => [0, Math.max(1, most * 1.1)] },
    },
    axes: [
      { ...axis, size: 30, incrs: STEPS, values: spanX ? (_, at) => at.map(formatX) : timeTicks },
      { ...axis, size: 56, incrs: WHOLE },
    ],
    series: [{}, ...series.map((_, place) => line(place))],
  };
}

const clock = new Intl.DateTimeFormat('en', { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
const days = new Intl.DateTimeFormat('en', { month: 'short', day: 'numeric' });
const timeTicks = (_, at, __, ___, step) => at.map((second) => (step < DAY ? clock : days).format(second * 1000));
