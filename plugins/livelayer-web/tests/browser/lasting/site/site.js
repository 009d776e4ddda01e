// A client-side router as small as can be: main is fetched and swapped, all else stays.
document.addEventListener("click", async (event) => {
  const link = event.target instanceof Element ? event.target.closest("nav a") : null;
  if (link === null) return;
  event.preventDefault();
  const text = await (await fetch(link.href)).text();
  const page = new DOMParser().parseFromString(text, "text/html");
  document.title = page.title;
  document.querySelector("main").replaceWith(page.querySelector("main"));
  history.pushState({}, "", link.href);
});
