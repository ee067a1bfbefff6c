/* Tables of lists, and the links to their next pages. */
import { html, useEffect } from '../shared/html.js';
import { announce } from '../shared/live.js';
import { pageAddress, usePlace } from './router.js';
import { common } from './texts/common.js';

/**
 * A table. `columns` are `{head, cell(row), numeric}`. On narrow screens each row is a card, whose cells show their
 * heads; the roles keep it a table for screen readers.
 */
export function Table({ caption, columns, rows, empty = common.nothing, rowKey = (row) => row.id }) {
  if (rows.length === 0) return html`<p class="muted">${empty}</p>`;
  return html`<table role="table">
    <caption>
      ${caption}
    </caption>
    <thead role="rowgroup">
      <tr role="row">
        ${columns.map(
          ({ head, numeric }) => html`<th role="columnheader" scope="col" class=${kind(numeric)}>${head}</th>`,
        )}
      </tr>
    </thead>
    <tbody role="rowgroup">
      ${rows.map(
        (row, place) => html`<tr role="row" key=${rowKey(row) ?? place}>
          ${columns.map(
            ({ head, cell, numeric }) =>
              html`<td role="cell" data-head=${head} class=${kind(numeric)}><div>${cell(row)}</div></td>`,
          )}
        </tr>`,
      )}
    </tbody>
  </table>`;
}

const kind = (numeric) => (numeric ? 'number' : undefined);

/**
 * Links to the first and to the next page of a list. The page is part of the address. `count` is how many rows are
 * shown: after a new filter, a screen reader says so.
 */
export function Pager({ next, count }) {
  const { path, query, by } = usePlace();
  const { cursor, ...others } = query;
  const found = by === 'filter' && count !== undefined ? common.found(count, Boolean(next)) : '';
  useEffect(() => {
    if (found) announce(found);
  }, [found, JSON.stringify(query)]);
  if (!cursor && !next) return null;
  return html`<nav class="pager" aria-label=${common.pages}>
    ${cursor && html`<a href=${pageAddress(path, others)}>${common.firstPage}</a>`}
    ${next && html`<a href=${pageAddress(path, { ...others, cursor: next })}>${common.nextPage}</a>`}
  </nav>`;
}

/** An id, shortened, with the whole one in its title. */
export function Id({ id, href }) {
  const short = id.length > 20 ? `${id.slice(0, 8)}…${id.slice(-6)}` : id;
  const shown = html`<code title=${id}>${short}</code>`;
  return href ? html`<a href=${href}>${shown}</a>` : shown;
}

/** Names with their values, one below the other. `entries` are `[name, value]`; those without a value are left out. */
export function Facts({ entries }) {
  return html`<dl class="facts">
    ${entries
      .filter(([, value]) => value !== undefined && value !== null && value !== false)
      .map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`)}
  </dl>`;
}
