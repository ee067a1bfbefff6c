/* Network trouble, simulated: answers that are lost after the service has acted. */
import { NetworkError } from '../shared/api.js';
import { makeStore } from '../shared/store.js';

const SLOT = 'flashreserve-trouble';
const DROPPED_PART = 0.5;
/** So that repeating ends: most connections work again some time. */
const DROPPED_MAX_IN_A_ROW = 3;

const trouble = makeStore({
  on: false,
  dropped: 0,
  again: 0,
  twice: 0,
  ...JSON.parse(sessionStorage.getItem(SLOT)),
});
let inARow = 0;

/** Whether it is `on`, and counts of this tab: answers `dropped`, requests sent `again`, units taken `twice`. */
export const useTrouble = trouble.use;

/** Turn the trouble on or off. */
export const setTrouble = (on) => change({ on });

/** Count something. */
export const countTrouble = (name, n = 1) => change({ [name]: trouble.read()[name] + n });

/** Let the answer to a change pass, or lose it as a bad connection would. */
export function passOrDrop(answer) {
  if (!trouble.read().on || inARow >= DROPPED_MAX_IN_A_ROW || Math.random() >= DROPPED_PART) {
    inARow = 0;
    return answer;
  }
  inARow += 1;
  countTrouble('dropped');
  throw new NetworkError('the answer was dropped on purpose');
}

function change(news) {
  trouble.write({ ...trouble.read(), ...news });
  sessionStorage.setItem(SLOT, JSON.stringify(trouble.read()));
}
