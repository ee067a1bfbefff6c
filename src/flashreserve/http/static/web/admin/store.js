import { useEffect, useState } from '../shared/html.js';

/**
 * A value that components follow. `read()` is the value now, `write(value)` replaces it, and `use()` reads it in a
 * component, which is drawn again whenever it is replaced.
 */
export function makeStore(first) {
  const watchers = new Set();
  let value = first;
  return {
    read: () => value,
    write(next) {
      value = next;
      for (const watcher of watchers) watcher(() => next);
    },
    use() {
      const [seen, see] = useState(() => value);
      useEffect(() => {
        see(() => value);
        watchers.add(see);
        return () => watchers.delete(see);
      }, []);
      return seen;
    },
  };
}
