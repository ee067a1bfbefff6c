/* Data of the API in components: asked for once, or again and again. */
import { html, useCallback, useEffect, useRef, useState } from '../shared/html.js';
import { ask } from './session.js';
import { common } from './texts/common.js';

/** Why there is no data, in a sentence for people. `answer` is undefined when none came. */
export function faultOf(answer) {
  if (!answer) return common.noAnswer;
  const { detail, title } = answer.problem ?? {};
  return sentence(detail || title || common.refused(answer.status));
}

/** A text of the API as a sentence: with a capital letter and a full stop. */
export function sentence(text) {
  const quoted = text.replace(/`([^`]*)`/g, '“$1”');
  const begun = quoted.charAt(0).toUpperCase() + quoted.slice(1);
  return /[.!?]$/.test(begun) ? begun : `${begun}.`;
}

/**
 * The data at a path of the API: `{data, fault, status, loading, reload}`. A path of null asks for nothing. With
 * `everyMs`, it is asked for again that long after each answer, and for each new `version`, a number, at once. Data of
 * an earlier answer stay while a new one fails.
 */
export function useResource(path, { everyMs, version } = {}) {
  const [state, setState] = useState({ path: null });
  const [round, setRound] = useState(0);
  const reload = useCallback(() => setRound((before) => before + 1), []);
  useEffect(() => {
    if (path === null) return undefined;
    const aborter = new AbortController();
    let timer;
    const load = async () => {
      const answer = await ask('GET', path, { signal: aborter.signal }).catch(() => undefined);
      if (aborter.signal.aborted) return;
      setState((before) => stateAfter(before, path, answer));
      if (everyMs && answer?.status !== 404) timer = setTimeout(load, everyMs);
    };
    load();
    return () => {
      aborter.abort();
      clearTimeout(timer);
    };
  }, [path, everyMs, version, round]);
  const own = state.path === path ? state : {};
  return { ...own, loading: path !== null && !own.data && !own.fault, reload };
}

function stateAfter(before, path, answer) {
  if (answer?.ok) return { path, data: answer.data, status: answer.status };
  const data = before.path === path ? before.data : undefined;
  return { path, data, fault: faultOf(answer), status: answer?.status };
}

/** The items of several pages of a list, at most `pagesMax`: `{items, more}`; `more` tells that there are others. */
export async function listItems(path, pagesMax) {
  const items = [];
  let cursor = '';
  for (let page = 0; page < pagesMax; page += 1) {
    const { ok, data } = await ask('GET', path + (cursor && `&cursor=${cursor}`));
    if (!ok) break;
    items.push(...data.items);
    if (!data.nextCursor) return { items, more: false };
    cursor = data.nextCursor;
  }
  return { items, more: true };
}

/** A function that runs while the component is shown, every `everyMs`. */
export function useEvery(everyMs, work) {
  const latest = useRef(work);
  latest.current = work;
  useEffect(() => {
    const timer = setInterval(() => latest.current(), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
}

/** A fault, with a button to try again. */
export function Fault({ text, retry }) {
  return html`<div class="fault" role="alert">
    <p>${text}</p>
    ${retry && html`<button type="button" onClick=${retry}>${common.tryAgain}</button>`}
  </div>`;
}

/** The data of a resource as `children(data)` draws them; before, a word that they are coming; or the fault. */
export function Loaded({ from, children }) {
  const { data, fault, loading, reload } = from;
  return html`
    ${fault && html`<${Fault} text=${fault} retry=${reload} />`}
    ${loading && html`<p class="muted">${common.loading}</p>`}
    ${data && children(data)}
  `;
}
