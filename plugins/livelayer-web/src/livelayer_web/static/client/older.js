// @ts-check
/**
 * What the oldest browsers that we support lack (Chrome and Edge 111, Firefox 115, Safari 16.4). Functions
 * of our own: what belongs to the page is not patched.
 */

/**
 * `Promise.withResolvers`.
 *
 * @template T
 * @returns {{promise: Promise<T>, resolve: (value: T | PromiseLike<T>) => void, reject: (reason?: unknown) => void}}
 */
export function deferred() {
  /** @type {(value: T | PromiseLike<T>) => void} */
  let resolve = () => {};
  /** @type {(reason?: unknown) => void} */
  let reject = () => {};
  /** @type {Promise<T>} */
  const promise = new Promise((one, other) => {
    resolve = one;
    reject = other;
  });
  return { promise, resolve, reject };
}

/** `URL.parse`. @param {string} address @param {string} [base] @returns {URL | null} */
export function parseUrl(address, base) {
  try {
    return new URL(address, base);
  } catch {
    return null;
  }
}

/** `element.checkVisibility({ visibilityProperty: true })`. @param {Element} element @returns {boolean} */
export function isVisible(element) {
  if (element.checkVisibility) return element.checkVisibility({ visibilityProperty: true });
  const style = getComputedStyle(element);
  const boxed = style.display === "contents" ? element.isConnected : element.getClientRects().length > 0;
  return boxed && style.visibility === "visible";
}
