/* Components by preact with its hooks, and htm, which reads markup in template strings, so that there is no build. */
import { Fragment, h, render } from '../vendor/preact.js';
import { useCallback, useEffect, useMemo, useRef, useState } from '../vendor/hooks.js';
import htm from '../vendor/htm.js';

/** Markup as a tagged template. Values become text or attributes, never markup. */
export const html = htm.bind(h);

export { Fragment, render, useCallback, useEffect, useMemo, useRef, useState };
