// Ahead of everything that paints, so that a page chosen dark never flashes light.
{
  const dusk = matchMedia("(prefers-color-scheme: dark)");
  const wear = () => {
    let chosen = null;
    try { chosen = localStorage.getItem("chainzrule-theme"); } catch { /* storage is switched off */ }
    document.documentElement.dataset.theme = chosen ?? (dusk.matches ? "dark" : "light");
  };
  wear();
  dusk.addEventListener("change", wear);
}
