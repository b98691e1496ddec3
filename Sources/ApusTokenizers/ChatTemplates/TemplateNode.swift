/// A statement of a template.
indirect enum TemplateNode {
  case text(String)
  case print(TemplateExpression)
  /// The first branch whose condition holds; the last may have none.
  case choice([(condition: TemplateExpression?, body: [TemplateNode])])
  case loop(TemplateLoop)
  case assign(names: [String], value: TemplateExpression)
  /// `set ns.member = value`.
  case assignMember(object: String, member: String, value: TemplateExpression)
  /// `set name` … `endset`.
  case capture(name: String, body: [TemplateNode])
  case macro(name: String, TemplateMacro)
  case leaveLoop
  case nextTurn
}

/// `for` … `else` … `endfor`.
struct TemplateLoop {
  let names: [String]
  let sequence: TemplateExpression
  let filter: TemplateExpression?
  let body: [TemplateNode]
  let otherwise: [TemplateNode]
}

/// A part of a template that can be called.
struct TemplateMacro {
  let parameters: [(name: String, fallback: TemplateExpression?)]
  let body: [TemplateNode]
}

/// An expression of a template.
indirect enum TemplateExpression {
  case literal(TemplateValue)
  case name(String)
  case list([TemplateExpression])
  case map([(key: TemplateExpression, value: TemplateExpression)])
  case member(TemplateExpression, String)
  case element(TemplateExpression, TemplateExpression)
  case slice(
    TemplateExpression, from: TemplateExpression?, to: TemplateExpression?,
    step: TemplateExpression?)
  case call(TemplateExpression, TemplateCall)
  case filter(TemplateExpression, String, TemplateCall)
  case test(TemplateExpression, String, TemplateCall)
  case not(TemplateExpression)
  case negative(TemplateExpression)
  case binary(String, TemplateExpression, TemplateExpression)
  case conditional(TemplateExpression, if: TemplateExpression, else: TemplateExpression?)
}

/// Arguments of a call, not computed yet.
struct TemplateCall {
  var placed: [TemplateExpression] = []
  var named: [(name: String, value: TemplateExpression)] = []
}
