// @ts-check
/**
 * What a page of another site includes to show the widget in a frame:
 * `<script async src="https://agent.example.com/livelayer/js/embed.js"></script>`.
 */

{
  const script = document.currentScript;
  if (script instanceof HTMLScriptElement) {
    // The whole address: a script of another site has no base of its own.
    const module = new URL("embed/host.js", script.src).href;
    import(module).then(
      (/** @type {typeof import("./embed/host.js")} */ { embed }) => embed(script),
      () => console.warn(`livelayer: ${module} cannot be loaded; is ${location.origin} one of its embed_origins?`),
    );
  }
}
