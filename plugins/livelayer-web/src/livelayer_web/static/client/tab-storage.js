// @ts-check
/** What a tab keeps across a reload, in its session storage. */

/**
 * @typedef {object} Left where a page stood when it was left
 * @property {string | null} key
 * @property {string | null} cursor
 * @property {boolean} media it had a media connection
 */

export class TabStorage {
  /**
   * @param {string} name one for each session of a page
   * @param {Storage | null} storage null: nothing is remembered
   */
  constructor(name, storage) {
    this.name = `livelayer:${name}`;
    this.storage = storage;
  }

  /**
   * Returns and removes what was left: the duplicate of a tab whose page is still open must not
   * take that page's place.
   *
   * @returns {Left | null}
   */
  take() {
    const left = this.read("left", null);
    this.write("left", null);
    return left;
  }

  /** @param {Left} left */
  leave(left) {
    this.write("left", left);
  }

  /**
   * @template T
   * @param {string} part
   * @param {T} otherwise
   * @returns {T}
   */
  read(part, otherwise) {
    try {
      const text = this.storage?.getItem(`${this.name}:${part}`) ?? null;
      return text === null ? otherwise : JSON.parse(text);
    } catch {
      return otherwise; // not allowed by the browser, or not valid JSON
    }
  }

  /**
   * @param {string} part
   * @param {unknown} value null: forget it
   * @returns {boolean} whether it is kept
   */
  write(part, value) {
    try {
      if (value === null) this.storage?.removeItem(`${this.name}:${part}`);
      else this.storage?.setItem(`${this.name}:${part}`, JSON.stringify(value));
      return this.storage !== null;
    } catch {
      return false; // full, or not allowed
    }
  }
}

/**
 * The tab's session storage, where the browser allows it.
 *
 * @returns {Storage | null}
 */
export function tabStorage() {
  try {
    return window.sessionStorage;
  } catch {
    return null;
  }
}
