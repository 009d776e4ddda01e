// @ts-check
/** The page's path, also where a client-side router changes it without a word. */

const LATER = [0, 50, 250]; // milliseconds after something that may have changed it
const INTERVAL = 500; // milliseconds

/**
 * Tells every change of `location.pathname`, and calls nothing of the page's own over: where the
 * browser has no Navigation API, the address is compared after whatever may change it.
 *
 * @param {(path: string) => void} changed
 * @returns {() => void} stops watching
 */
export function watchPath(changed) {
  let path = location.pathname;
  const look = () => {
    if (location.pathname === path) return;
    path = location.pathname;
    changed(path);
  };
  const end = new AbortController();
  const { signal } = end;
  const navigation = /** @type {EventTarget | undefined} */ (Reflect.get(window, "navigation"));
  addEventListener("popstate", look, { signal });
  addEventListener("hashchange", look, { signal });
  if (navigation) {
    navigation.addEventListener("currententrychange", look, { signal });
    return () => end.abort();
  }
  const soon = () => LATER.forEach((delay) => setTimeout(look, delay));
  for (const kind of ["click", "keydown", "submit"]) addEventListener(kind, soon, { signal, capture: true });
  const timer = setInterval(look, INTERVAL);
  return () => {
    end.abort();
    clearInterval(timer);
  };
}
