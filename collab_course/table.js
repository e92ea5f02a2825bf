// Makes the table of `show_table` answer: sort at a heading, search, filter a column, turn pages.
(id => {
  const root = document.getElementById(id)
  const rows = JSON.parse(root.querySelector('[type="application/json"]').textContent), size = +root.dataset.size
  const body = root.querySelector('tbody'), status = root.querySelector('[role=status]')
  const headings = [...root.querySelectorAll('th button')], inputs = [...root.querySelectorAll('input')]
  const pages = [...root.querySelectorAll('nav button')]
  const text = o => String(o ?? '').toLowerCase()
  let found = rows, first = 0, by = -1, way = 1

  const fits = (value, wanted) => {
    if (typeof value != 'number') return text(value).includes(wanted)
    const [, sign, number] = wanted.match(/^([<>]?=?)\s*(-?[\d.]+)$/) ?? []
    if (number === undefined) return false
    return {'<': value < +number, '<=': value <= +number, '>': value > +number, '>=': value >= +number}[sign] ?? value == +number
  }
  const before = (a, b) => { // what is missing comes last, either way
    if (a === null || b === null) return (a === null) - (b === null)
    return way * (typeof a == 'number' && typeof b == 'number' ? a - b : text(a).localeCompare(text(b), 'en', {numeric: true}))
  }
  const draw = () => {
    body.replaceChildren(...found.slice(first, first + size).map(row => {
      const tr = document.createElement('tr')
      for (const o of row) {
        const td = tr.insertCell()
        td.textContent = o ?? ''
        if (typeof o == 'number') td.className = 'number'
      }
      return tr
    }))
    const count = o => o.toLocaleString('en')
    status.textContent = found.length ? `${count(first + 1)} to ${count(Math.min(first + size, found.length))} of ${count(found.length)} rows` : 'no such row'
    pages[0].disabled = !first
    pages[1].disabled = first + size >= found.length
  }
  const search = () => {
    const [all, ...each] = inputs.map(o => text(o.value.trim()))
    found = rows.filter(row => (!all || row.some(o => text(o).includes(all))) && each.every((o, i) => !o || fits(row[i], o)))
    if (by >= 0) found = [...found].sort((a, b) => before(a[by], b[by]))
    first = 0
    draw()
  }
  headings.forEach((heading, i) => heading.onclick = () => {
    way = by == i ? -way : 1
    by = i
    headings.forEach((o, j) => o.parentElement.ariaSort = i == j ? (way > 0 ? 'ascending' : 'descending') : 'none')
    search()
  })
  for (const o of inputs) o.oninput = search
  pages[0].onclick = () => { first -= size; draw() }
  pages[1].onclick = () => { first += size; draw() }
  search()
})