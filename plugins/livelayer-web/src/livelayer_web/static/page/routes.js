// @ts-check
/** The page's path, its changes, and the patterns that decide where a surface is shown. */

/** @typedef {string | RegExp | ((path: string) => boolean)} Pattern */
/** @typedef {Pattern | readonly Pattern[] | null | undefined} Patterns */

const LATER = [0, 50, 250]; // milliseconds after an event that may change the path
const INTERVAL = 500; // milliseconds between two comparisons
const LITERAL = /^\/(.+)\/([dgimsuvy]*)$/;
const MARKS = /[\^$\\()[\]{}+?|]|\.\*/; // characters of neither a path nor a glob

/**
 * Whether a surface is shown at `path`. Without `showOn` it is shown everywhere; where both match,
 * it is hidden.
 *
 * @param {string} path a path, as `location.pathname` is
 * @param {{showOn?: Patterns, hideOn?: Patterns}} filters
 * @returns {boolean}
 */
export function isShown(path, { showOn, hideOn }) {
  const shown = list(showOn);
  if (list(hideOn).some((pattern) => matches(path, pattern))) return false;
  return shown.length === 0 || shown.some((pattern) => matches(path, pattern));
}

/**
 * Whether one pattern matches a path. `*` is anything within one segment, `**` any number of
 * segments, so that `/admin/**` matches `/admin` too. A text `/.../flags` with a mark in it that
 * paths don't have (`^ $ \ ( ) [ ] { } + ? |` or `.*`) is a regular expression. A slash at the
 * end makes no difference. A predicate that throws is reported and matches nothing.
 *
 * @param {string} path
 * @param {Pattern} pattern
 * @returns {boolean}
 */
export function matches(path, pattern) {
  const plain = normal(path);
  if (typeof pattern === "function") {
    try {
      return Boolean(pattern(path));
    } catch (error) {
      reportError(error);
      return false;
    }
  }
  const expression = pattern instanceof RegExp ? pattern : expressionOf(pattern);
  if (expression === null) return false;
  // A global or sticky expression keeps its position between calls.
  const fresh = new RegExp(expression.source, expression.flags.replace(/[gy]/g, ""));
  return fresh.test(plain);
}

/**
 * The patterns of an attribute: a JSON array of texts, or patterns separated by white space or
 * commas. A comma within a pattern, as in `{1,3}`, does not separate.
 *
 * @param {string | null | undefined} text
 * @returns {string[]}
 */
export function parsePatterns(text) {
  const given = (text ?? "").trim();
  if (given.startsWith("[")) {
    try {
      const value = JSON.parse(given);
      if (Array.isArray(value)) return value.filter((one) => typeof one === "string");
    } catch {
      // A pattern may begin with a bracket.
    }
  }
  return given.split(/\s+|,(?=[\s/*]|$)/).filter((one) => one !== "");
}

/** @type {Map<string, RegExp | null>} */
const known = new Map();

/** @param {string} pattern @returns {RegExp | null} null: it is not a valid regular expression */
function expressionOf(pattern) {
  let expression = known.get(pattern);
  if (expression === undefined) {
    expression = compile(pattern);
    if (known.size >= 256) known.clear();
    known.set(pattern, expression);
  }
  return expression;
}

/** @param {string} pattern */
function compile(pattern) {
  const literal = LITERAL.exec(pattern);
  if (literal === null || !MARKS.test(literal[1])) return glob(normal(pattern));
  try {
    return new RegExp(literal[1], literal[2]);
  } catch (error) {
    reportError(error);
    return null;
  }
}

/** @param {string} pattern */
function glob(pattern) {
  let source = "";
  for (const segment of pattern.split("/").slice(1)) {
    if (segment === "**") source += "(?:/[^/]+)*";
    else source += `/${segment.split(/\*+/).map(escaped).join("[^/]*")}`;
  }
  // A star on its own requires a segment.
  source = source.replaceAll(/\/\[\^\/\]\*(?=\/|$|\(\?:)/g, "/[^/]+");
  return new RegExp(`^${source}/?$`);
}

/** @param {string} text */
function escaped(text) {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

/** Decoded, with a leading slash and no trailing one. @param {string} path */
function normal(path) {
  let plain = path;
  try {
    plain = decodeURI(path);
  } catch {
    // As it is.
  }
  const trimmed = plain.replace(/^\/*/, "/").replace(/\/+$/, "");
  return trimmed === "" ? "/" : trimmed;
}

/** @param {Patterns} patterns @returns {readonly Pattern[]} */
function list(patterns) {
  if (patterns === null || patterns === undefined || patterns === "") return [];
  return Array.isArray(patterns) ? patterns : [/** @type {Pattern} */ (patterns)];
}

/**
 * Reports every change of `location.pathname`, also by a client-side router, and patches no function
 * of the page: without the Navigation API, the path is compared after events that may change it.
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
