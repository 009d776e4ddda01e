// @ts-check
/** The addresses that an agent may send a page to, as in livelayer_bus/messages/href.py. */

const UNSEEN = /[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/u; // what Python calls not printable

/**
 * The address, made absolute; null when it is refused: another scheme than http and https, no
 * host, a user name before it, or anything that a browser reads differently from how it looks.
 *
 * @param {unknown} href
 * @returns {URL | null}
 */
export function safeUrl(href) {
  if (typeof href !== "string" || href === "" || href !== href.trim()) return null;
  if (UNSEEN.test(href) || href.includes("\\") || href.startsWith("//")) return null;
  const scheme = /^([a-z][a-z0-9+.-]*:)(.*)$/i.exec(href);
  if (scheme !== null && !(/^https?:$/i.test(scheme[1]) && /^\/\/[^/?#]/.test(scheme[2]))) return null;
  let url;
  try {
    url = new URL(href, document.baseURI);
  } catch {
    return null;
  }
  if (!["http:", "https:"].includes(url.protocol) || url.hostname === "") return null;
  return scheme !== null && /^\/\/[^/?#]*@/.test(scheme[2]) ? null : url;
}
