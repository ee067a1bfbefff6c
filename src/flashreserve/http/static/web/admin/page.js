/* The frame of one page: its title, its heading, and where it belongs. */
import { html, useEffect, useRef } from '../shared/html.js';
import { clearNotice } from './changes.js';
import { usePlace } from './router.js';
import { common } from './texts/common.js';

/** A page with this title. `above` is a link to the list that it belongs to, as `[address, text]`. */
export function Page({ title, above, children }) {
  const place = usePlace();
  const heading = useRef(null);
  useEffect(() => {
    document.title = common.title(title);
  }, [title]);
  useEffect(() => {
    if (!place.by || place.by === 'filter') return;
    if (place.by === 'visitor') clearNotice();
    scrollTo(0, 0);
    heading.current.focus();
  }, [place]);
  return html`
    ${above && html`<p class="above"><a href=${above[0]}>${above[1]}</a></p>`}
    <h1 ref=${heading} tabindex="-1">${title}</h1>
    ${children}
  `;
}

/** A part of a page, with a heading of its own. */
export function Section({ title, children }) {
  return html`<section><h2>${title}</h2>${children}</section>`;
}
