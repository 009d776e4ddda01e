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
    /** @param {string} address @returns {Promise<typeof import("./embed/host.js")>} */
    const load = (address) => import(address);
    const again = () => new Promise((resolve) => setTimeout(resolve, 1000)).then(() => load(`${module}?again`));
    load(module).catch(again).then(
      ({ embed }) => embed(script),
      (error) => console.error(`livelayer: ${module} cannot be loaded, twice; is ${location.origin} one of its embed_origins?`, error),
    );
  }
}
