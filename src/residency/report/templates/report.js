// Open what is folded away before printing, and the issue that a link points to.
const open = (all) => all.forEach((d) => { d.open = true; });
addEventListener("beforeprint", () => open(document.querySelectorAll("details")));
const follow = () => {
  const target = location.hash && document.getElementById(location.hash.slice(1));
  if (target && target.tagName === "DETAILS") { target.open = true; target.scrollIntoView(); }
};
addEventListener("hashchange", follow);
follow();
