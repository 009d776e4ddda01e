// The one thing that the site does by itself, so that a click can be seen.
document.querySelector("#buy")?.addEventListener("click", ({ target }) => {
  target.textContent = "Bought";
});
