// Ahead of everything that paints, so that a page chosen dark never flashes light.
{
  let chosen = null;
  try { chosen = localStorage.getItem("chainzrule-theme"); } catch { /* storage is switched off */ }
  document.documentElement.dataset.theme =
    chosen ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
}
