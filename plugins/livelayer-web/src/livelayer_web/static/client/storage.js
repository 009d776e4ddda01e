// @ts-check
/** What a browser keeps for a page, as JSON; a storage that is full or not allowed keeps nothing. */

/**
 * @typedef {object} Left where a page stood when it was left
 * @property {string | null} key
 * @property {string | null} cursor
 * @property {boolean} media it had a media connection
 */

/** What one session of a page keeps across a reload. */
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
    return readJson(this.storage, `${this.name}:${part}`, otherwise);
  }

  /** @param {string} part @param {unknown} value null: forget it */
  write(part, value) {
    writeJson(this.storage, `${this.name}:${part}`, value);
  }
}

/**
 * @param {"localStorage" | "sessionStorage"} name
 * @returns {Storage | null} null where the browser does not allow it
 */
export function storageOf(name) {
  try {
    return window[name];
  } catch {
    return null;
  }
}

/**
 * @template T
 * @param {Storage | null} storage
 * @param {string} key
 * @param {T} otherwise the value where none was kept, or none that is JSON
 * @returns {T}
 */
export function readJson(storage, key, otherwise) {
  try {
    const text = storage?.getItem(key) ?? null;
    return text === null ? otherwise : JSON.parse(text);
  } catch {
    return otherwise;
  }
}

/**
 * @param {Storage | null} storage
 * @param {string} key
 * @param {unknown} value null: forget it
 */
export function writeJson(storage, key, value) {
  try {
    if (value === null) storage?.removeItem(key);
    else storage?.setItem(key, JSON.stringify(value));
  } catch {
    // Full, or not allowed: the value lasts as long as the page.
  }
}
