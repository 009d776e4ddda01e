/** A style sheet, as a module gets it. */
declare module "*.css" {
  const sheet: CSSStyleSheet;
  export default sheet;
}
