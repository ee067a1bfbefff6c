/* The way to write components: preact with its hooks, and htm, which takes markup in template strings without a build. */
import { Fragment, h, render } from '../vendor/preact.js';
import { useCallback, useEffect, useMemo, useRef, useState } from '../vendor/hooks.js';
import htm from '../vendor/htm.js';

/** Markup as a tagged template. Values become text or attributes, never markup. */
export const html = htm.bind(h);

export { Fragment, render, useCallback, useEffect, useMemo, useRef, useState };
